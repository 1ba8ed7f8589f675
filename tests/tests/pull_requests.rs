//! Recorded pull requests of real repositories, reviewed with the default settings.

use sentinel_shared::diff;
use sentinel_shared::review::policy::Policy;
use serde_json::Value;
use std::collections::BTreeSet;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/pull_requests");

#[test]
fn each_gets_at_most_three_comments_on_lines_it_adds_and_none_on_what_nobody_writes() {
    let policy = Policy::default();
    let mut reviewed = 0;
    for entry in std::fs::read_dir(RECORDED).expect("the fixtures") {
        let path = entry.expect("a file").path();
        let Some(mut command) = sentinel_tests::sentinel() else { return };
        let output =
            command.args(["review", "--json", "--fail-on", "never"]).arg(&path).output().expect("it starts");
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
        let text = std::fs::read_to_string(&path).expect("text");
        let files = diff::parse(&text).expect("a diff");
        let added: BTreeSet<(&str, u64, &str)> = files
            .iter()
            .flat_map(|file| {
                file.hunks.iter().flat_map(|hunk| hunk.added()).map(|(line, it)| (file.path(), line, it))
            })
            .map(|(path, line, it)| (path, u64::from(line), it.text))
            .collect();
        let findings = result["findings"].as_array().expect("a list");
        assert!(findings.len() <= 3, "{}", path.display());
        for finding in findings {
            let place = (
                finding["path"].as_str().expect("a path"),
                finding["line"].as_u64().expect("a line"),
                finding["text"].as_str().expect("the line"),
            );
            assert!(added.contains(&place), "{}: {place:?} is not added there", path.display());
            assert!(!policy.ignores(place.0), "{place:?}");
        }
        let receipt = &result["receipt"];
        let skipped =
            receipt["hunks_skipped"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64());
        let hunks: usize = files.iter().map(|file| file.hunks.len()).sum();
        let accounted = receipt["hunks_reviewed"].as_u64().expect("a count") + skipped.sum::<u64>();
        assert_eq!(accounted, hunks as u64, "{}", path.display());
        reviewed += 1;
    }
    assert_eq!(reviewed, 20);
}
