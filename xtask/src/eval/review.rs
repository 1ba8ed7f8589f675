//! The shipped review model: its figures, and its comments on recorded pull requests.

use super::json;
use crate::build::Programs;
use crate::root;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

/// The labelled hunks in the repository.
pub(super) const DATA: &str = "tests/fixtures/labelled_hunks.jsonl";
/// Recorded pull requests. Each file is a diff; its first line names the origin.
const PULL_REQUESTS: &str = "tests/fixtures/pull_requests";

pub(super) fn table(report: &Value) -> String {
    let figure = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let mut text = format!(
        "{} hunks of repositories the model has not seen; {:.1} % of them were repaired later.\n\n| needs a comment | ROC-AUC | PR-AUC |\n|---|---|---|\n",
        report["n"],
        figure("/base_rate") * 100.0
    );
    let _ = writeln!(
        text,
        "| **{}** | {:.3} ({:.3}–{:.3}) | {:.3} ({:.3}–{:.3}) |",
        report["model_version"].as_str().unwrap_or_default(),
        figure("/needs_comment/roc_auc"),
        figure("/needs_comment/roc_auc_interval/0"),
        figure("/needs_comment/roc_auc_interval/1"),
        figure("/needs_comment/pr_auc"),
        figure("/needs_comment/pr_auc_interval/0"),
        figure("/needs_comment/pr_auc_interval/1"),
    );
    for control in ["bag_of_words", "bag_of_more_words", "size", "majority", "shuffled"] {
        if report["controls"][control].is_null() {
            continue;
        }
        let of = |what: &str| figure(&format!("/controls/{control}/{what}"));
        let name = control.replace('_', " ");
        let _ = writeln!(text, "| control: {name} | {:.3} | {:.3} |", of("roc_auc"), of("pr_auc"));
    }
    text + &format!(
        "\nAt one comment per 1,000 added lines {:.0} % of the comments are right, at three {:.0} %. At the shipped \
         thresholds {:.0} % of {} comments are right. On hunks that were repaired later, macro-F1 is {:.2} for severity and \
         {:.2} for category. The model points at a right line in {:.0} % of them (a random added line: {:.0} %); in \
         hunks of more than four added lines, in {:.0} % ({:.0} %). Expected calibration error: {:.3}.\n",
        figure("/needs_comment/precision_at_1") * 100.0,
        figure("/needs_comment/precision_at_3") * 100.0,
        figure("/needs_comment/shown_precision") * 100.0,
        report["needs_comment"]["shown"],
        figure("/severity/macro_f1"),
        figure("/category/macro_f1"),
        figure("/lines/hit1") * 100.0,
        figure("/lines/random_hit1") * 100.0,
        figure("/lines/choice/hit1") * 100.0,
        figure("/lines/choice/random_hit1") * 100.0,
        figure("/calibration/ece"),
    )
}

/// Writes docs/review-report.md: the comments that the default settings make on the recorded pull requests.
pub(super) fn write_report(programs: &Programs) -> Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(PULL_REQUESTS))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut text = String::from(
        "# What Sentinel says about real pull requests\n\n`cargo xtask eval review --write` makes this page. It reviews twenty \
         merged pull requests of repositories the\nmodel has not seen, with the defaults of `sentinel review`. The pull \
         requests were not chosen by their results.\n",
    );
    let mut comments = 0;
    for file in &files {
        let diff = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let title = diff.lines().next().unwrap_or_default().replace('|', "\\|");
        let mut review = programs.command(&programs.sentinel);
        let result = json(review.args(["review", "--json", "--fail-on", "never"]).arg(file))?;
        let findings = result["findings"].as_array().map_or(&[][..], Vec::as_slice);
        comments += findings.len();
        let _ = writeln!(
            text,
            "\n## {title}\n\n{} hunks of {} reviewed, {} withheld.\n",
            result["receipt"]["hunks_reviewed"],
            result["receipt"]["hunks_seen"],
            result["withheld"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(_, count)| count.as_u64())
                .sum::<u64>()
        );
        if findings.is_empty() {
            text += "No comments.\n";
        }
        for finding in findings {
            let line = finding["text"].as_str().unwrap_or_default().trim();
            let _ = writeln!(
                text,
                "* `{}:{}` {} {} ({:.0} %): ``{line}``",
                finding["path"].as_str().unwrap_or_default(),
                finding["line"],
                finding["severity"].as_str().unwrap_or_default(),
                finding["category"].as_str().unwrap_or_default(),
                finding["confidence"].as_f64().unwrap_or_default() * 100.0
            );
        }
    }
    let noun = if comments == 1 { "comment" } else { "comments" };
    let _ = write!(text, "\n{comments} {noun} on {} pull requests.\n", files.len());
    std::fs::write(root().join("docs/review-report.md"), text).context("writing docs/review-report.md")
}
