//! The memory of failures as text, for `sentinel failures` and for assistants.
//!
//! Every string from outside is spelt out, since a log may hold commands for a terminal or a CI runner.

use sentinel_shared::api::failures::{CauseDetail, Told};
use sentinel_shared::facts::Place;
use sentinel_shared::history::StandingLine;
use sentinel_shared::store::history::causes::{CauseBranch, CauseRow, CauseState};
use sentinel_shared::store::history::runs::FailureRow;
use sentinel_shared::text::printed;
use std::borrow::Cow;

/// The number of tests, places and failures that a text tells. `--json` has all.
const SHOWN: usize = 10;
/// The number of digits of a commit that people read.
const SHA_DIGITS: usize = 7;

/// One line about each cause.
pub(crate) fn list(causes: &[CauseRow]) -> String {
    causes.iter().map(|cause| one_line(cause) + "\n").collect()
}

/// What broke, what its past says, the failing tests, the places, what to do, where it occurs and its last failures.
pub(crate) fn cause(detail: &CauseDetail) -> String {
    let CauseDetail { cause, about: Told { told, standing, retry_advice }, branches, failures } = detail;
    let last = failures.first();
    let heading = format!(
        "{}{}, {}",
        printed(&cause.class),
        cause.kind.as_ref().map_or_else(String::new, |kind| format!(" ({})", printed(kind))),
        whose(&cause.fault)
    );
    let counts = format!(
        "Cause {} of {}: {}, {} from {} to {}, {} passed when tried again",
        cause.id,
        printed(&cause.repository),
        state(cause),
        counted(cause.times, "failure"),
        cause.first_at,
        cause.last_at,
        cause.passed
    );
    let tests = last.map_or(&[][..], |last| &last.facts.failing_tests[..]);
    let names = tests.iter().map(|test| test.name.as_str());
    let names: Vec<&str> =
        if tests.is_empty() { cause.tests.iter().map(String::as_str).collect() } else { names.collect() };
    let mut text = format!("{heading}\n{counts}\n\n  {}\n", printed(&cause.line));
    if !told.is_empty() {
        text = format!("{}\n\n{text}", printed(told));
    }
    section(&mut text, "What its past says", standing.iter().map(said));
    section(&mut text, "Tests that fail", names.into_iter().map(printed));
    section(&mut text, "Places", last.iter().flat_map(|last| &last.facts.places).map(place));
    section(
        &mut text,
        "What to do",
        last.iter()
            .flat_map(|last| advice(last))
            .chain(retry_advice.iter().map(|advice| printed(&advice.sentence))),
    );
    section(&mut text, "Where it occurs", branches.iter().map(branch));
    section(&mut text, "Last failures", failures.iter().map(failure));
    text
}

fn one_line(cause: &CauseRow) -> String {
    let CauseRow { id, times, last_at, repository, class, line, .. } = cause;
    format!(
        "{id:>6}  {:<5}  {times:>4} x  {last_at}  {}  {}  {}",
        state(cause),
        printed(repository),
        printed(class),
        printed(line)
    )
}

fn section<T: AsRef<str>>(text: &mut String, title: &str, lines: impl Iterator<Item = T>) {
    let lines: Vec<T> = lines.collect();
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}:\n"));
    for line in lines.iter().take(SHOWN) {
        text.push_str(&format!("* {}\n", line.as_ref()));
    }
    if lines.len() > SHOWN {
        text.push_str(&format!("* and {} more\n", lines.len() - SHOWN));
    }
}

fn state(cause: &CauseRow) -> &'static str {
    match (cause.flaky, cause.state) {
        (true, _) => "flaky",
        (false, CauseState::Open) => "open",
        (false, CauseState::Fixed) => "fixed",
    }
}

fn whose(fault: &str) -> &'static str {
    match fault {
        "code" => "the code is at fault",
        "platform" => "the platform is at fault",
        _ => "it is not known whose fault it is",
    }
}

fn said(line: &StandingLine) -> Cow<'_, str> {
    printed(&line.sentence)
}

fn place(place: &Place) -> String {
    let message =
        place.message.as_ref().map_or_else(String::new, |message| format!(": {}", printed(message)));
    format!("{}:{}{message}", printed(&place.path), place.line)
}

fn advice(failure: &FailureRow) -> impl Iterator<Item = Cow<'_, str>> {
    [&failure.advice, &failure.docs]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .map(|text| printed(text))
}

fn branch(at: &CauseBranch) -> String {
    let fixed = at.fixed_sha.as_ref().map_or_else(String::new, |sha| format!(", fixed by {}", short(sha)));
    let range = match (&at.green_sha, &at.red_sha) {
        (Some(green), Some(red)) => format!(", between {} and {}", short(green), short(red)),
        _ => String::new(),
    };
    let times = counted(at.times, "failure");
    format!("{} on {}: {times}, last {}{range}{fixed}", printed(&at.workflow), named(&at.branch), at.last_at)
}

fn failure(failure: &FailureRow) -> String {
    let FailureRow { failed_at, branch, job, head_sha, author, html_url, .. } = failure;
    let by = author.as_ref().map_or_else(String::new, |author| format!(" by {}", printed(author)));
    let passed = if failure.passed_at.is_some() { ", passed when tried again" } else { "" };
    let url = html_url.as_ref().map_or_else(String::new, |url| format!(" {}", printed(url)));
    format!("{failed_at} {} on {} at {}{by}{passed}{url}", named(job), named(branch), short(head_sha))
}

fn named(name: &str) -> Cow<'_, str> {
    if name.is_empty() { "(not known)".into() } else { printed(name) }
}

fn short(sha: &str) -> String {
    if sha.is_empty() { "(not known)".into() } else { sha.chars().take(SHA_DIGITS).collect() }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn detail() -> CauseDetail {
        let at = "2026-01-31T00:00:00Z";
        let occurrence = json!({ "id": 1, "branch": "main", "head_sha": "f", "author": null, "run_id": 1, "run_attempt": 1 });
        let cause = json!({
            "id": 12, "repository": "o/r", "class": "Test Failure", "kind": "assertion failed", "fault": "code",
            "line": "assert 1 == 2\u{1b}[2J", "tests": ["test_load"], "first_at": at, "last_at": at, "times": 2, "passed": 1,
            "state": "open", "flaky": false, "first": occurrence, "last": occurrence, "days": [],
        });
        let failure = json!({
            "id": 1, "repository": "o/r", "is_headline": true, "run_id": 1, "run_attempt": 1, "job_id": 1, "workflow": "CI",
            "job": "unit", "step": null, "branch": "main", "head_sha": "1a2b3c4d5e", "trigger": "push", "author": "ann",
            "pull": null, "failed_at": at, "passed_at": at, "prediction": "Test Failure", "confidence": 0.5, "top": [],
            "log_line": null, "html_url": "https://github.com/o/r", "cause_id": 12, "cause_times": 2, "kind": null,
            "fault": "code", "advice": "Mend the test.", "docs": "",
            "facts": { "places": [{ "path": "src/load.ts", "line": 42, "message": "not a number", "kind": "error" }] },
            "around": [], "corrected": null, "known": null, "remarks": [],
        });
        let branch = json!({
            "workflow": "CI", "branch": "main", "on_default": true, "times": 2, "first_at": at, "last_at": at,
            "fixed_sha": null, "fixed_at": null, "green_sha": "a".repeat(40), "red_sha": "b".repeat(40), "red_at": at,
            "authors": ["ann"],
        });
        let standing = json!([{ "standing": "flaky", "sentence": "flaky: passed on retry 1 of 2 times", "count": 1, "of": 2 }]);
        let detail = json!({ "cause": cause, "told": "Unit test: `x` fails. Mend the test.", "standing": standing, "branches": [branch],
            "failures": [failure], "retry_advice": { "helps": true, "sentence": "Run it again.", "passed": 1, "times": 2 } });
        serde_json::from_value(detail).unwrap()
    }

    #[test]
    fn a_cause_is_told_with_its_past_its_tests_places_advice_branches_and_failures() {
        let expected = "Unit test: `x` fails. Mend the test.\n\nTest Failure (assertion failed), the code is at fault\n\
            Cause 12 of o/r: open, 2 failures from 2026-01-31T00:00:00Z to 2026-01-31T00:00:00Z, 1 passed when tried again\n\n  \
            assert 1 == 2\\u{1b}[2J\n\n\
            What its past says:\n* flaky: passed on retry 1 of 2 times\n\n\
            Tests that fail:\n* test_load\n\n\
            Places:\n* src/load.ts:42: not a number\n\n\
            What to do:\n* Mend the test.\n* Run it again.\n\n\
            Where it occurs:\n* CI on main: 2 failures, last 2026-01-31T00:00:00Z, between aaaaaaa and bbbbbbb\n\n\
            Last failures:\n* 2026-01-31T00:00:00Z unit on main at 1a2b3c4 by ann, passed when tried again https://github.com/o/r\n";
        assert_eq!(cause(&detail()), expected);
    }

    #[test]
    fn a_list_has_a_line_for_each_cause_and_nothing_that_a_terminal_obeys() {
        let told = list(&[detail().cause]);
        assert_eq!(
            told,
            "    12  open      2 x  2026-01-31T00:00:00Z  o/r  Test Failure  assert 1 == 2\\u{1b}[2J\n"
        );
    }
}
