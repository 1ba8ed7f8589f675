//! The diff parser on recorded diffs of real repositories and on generated ones.

use sentinel_node::review::model::ReviewModel;
use sentinel_node::review::tokenizer::Encoder;
use sentinel_shared::diff::{Line, parse, parse_patch};
use sentinel_shared::review::language::Language;
use sentinel_shared::review::plan::{ChangedFile, Plan};
use sentinel_shared::review::policy::Policy;
use serde::Deserialize;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
struct LabelledHunk {
    path: String,
    hunk: String,
}

/// The recorded hunks, or the first thousand of `SENTINEL_HUNKS` (JSON lines).
fn records() -> Vec<LabelledHunk> {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hunks.jsonl").to_owned();
    let path = std::env::var("SENTINEL_HUNKS").unwrap_or(recorded);
    let text = std::fs::read_to_string(&path).expect("the hunks are there");
    text.lines().take(1000).map(|line| serde_json::from_str(line).expect("a record")).collect()
}

#[test]
fn real_hunks_are_printed_as_they_were_read_and_survive_being_cut() {
    let encoder = Encoder::new(&ReviewModel::embedded().expect("a model")).expect("a tokenizer");
    let records = records();
    for LabelledHunk { path, hunk: text } in &records {
        let hunks = parse_patch(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let printed: String = hunks.iter().map(ToString::to_string).collect();
        let body = |text: &str| text.trim_end_matches('\n').split_once('\n').map(|(_, body)| body.to_owned());
        // Git leaves out a count of one; the lines are the same to the byte.
        assert_eq!(body(&printed), body(text), "{path}");
        for hunk in &hunks {
            let cut: Vec<Line<'_>> =
                hunk.split(200, |line| line.text.len()).into_iter().flat_map(|piece| piece.lines).collect();
            assert_eq!(cut, hunk.lines, "{path}");
            let Some(language) = Language::of_path(path) else { continue };
            let pieces = encoder.pieces(path, language, hunk);
            let added: usize = pieces.map(|(_, encoded)| encoded.added_at.len()).sum();
            assert_eq!(added, hunk.added().count(), "{path}: every added line reaches the model once");
        }
    }
    println!("{} hunks", records.len());
}

#[test]
fn five_megabytes_are_read_in_a_fifth_of_a_second_and_every_hunk_is_accounted_for() {
    let mut diff = String::new();
    let records = records();
    for (at, LabelledHunk { path, hunk }) in records.iter().cycle().enumerate() {
        if diff.len() > 5_000_000 {
            break;
        }
        diff.push_str(&format!(
            "diff --git a/{at}/{path} b/{at}/{path}\n--- a/{at}/{path}\n+++ b/{at}/{path}\n{}\n",
            hunk.trim_end_matches('\n')
        ));
    }
    let fastest = (0..5)
        .map(|_| {
            let started = Instant::now();
            assert!(!parse(&diff).expect("a diff").is_empty());
            started.elapsed()
        })
        .min()
        .expect("five rounds");
    println!("{} MB in {fastest:?}", diff.len() / 1_000_000);
    assert!(fastest < Duration::from_millis(200), "{fastest:?}");
    let files = parse(&diff).expect("a diff");
    let plan = Plan::new(files.iter().map(ChangedFile::of_diff).collect(), 0, &Policy::default());
    let receipt = plan.receipt(&vec![None; plan.hunks.len()]);
    assert!(receipt.is_balanced() && receipt.is_partial(), "over the limits, and says so: {receipt:?}");
}
