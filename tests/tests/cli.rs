//! `sentinel review` and `sentinel jobs` as a person and a program call them.

use sentinel_shared::store::reviews::JobKind;
use sentinel_tests::github::FakeGithub;
use sentinel_tests::node::{RUNTIME, Rig, job};
use serde_json::Value;
use std::io::Write;
use std::process::{Output, Stdio};

const DIFF: &str =
    "diff --git a/x.ts b/x.ts\n--- a/x.ts\n+++ b/x.ts\n@@ -1,2 +1,3 @@\n a\n+  debugger;\n b\n";

/// The built program, as `cargo xtask` names it.
fn sentinel(args: &[&str], input: &str) -> Option<Output> {
    let mut command = sentinel_tests::sentinel()?;
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    Some(child.wait_with_output().expect("it ends"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_finding_is_shown_with_its_line_and_decides_the_exit_code() {
    let Some(output) = sentinel(&["review"], DIFF) else { return };
    let said = text(&output.stdout);
    assert!(said.starts_with("x.ts:2: bug other (100 %)\n  +  debugger;\n"), "{said}");
    assert!(said.contains("1 of 1 files and 1 of 1 hunks reviewed"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    let tolerant = sentinel(&["review", "--fail-on", "critical"], DIFF).expect("the program is there");
    assert_eq!(tolerant.status.code(), Some(0));
}

#[test]
fn programs_get_json_or_sarif() {
    let Some(output) = sentinel(&["review", "--json"], DIFF) else { return };
    let json: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&json["findings"][0]["line"], &json["receipt"]["hunks_reviewed"]), (&2.into(), &1.into()));
    let output = sentinel(&["review", "--sarif"], DIFF).expect("the program is there");
    let sarif: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let region = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&sarif["version"], &region["startLine"]), (&"2.1.0".into(), &2.into()));
}

#[test]
fn what_cannot_be_reviewed_is_exit_code_two_and_a_sentence() {
    let cases =
        [("this is no diff", "no unified diff"), ("diff --cc x\n@@@ -1 -1 +1 @@@\n", "combined diff")];
    for (input, sentence) in cases {
        let Some(output) = sentinel(&["review"], input) else { return };
        assert_eq!(output.status.code(), Some(2), "{input}");
        assert!(text(&output.stderr).contains(sentence), "{}", text(&output.stderr));
    }
    let empty = sentinel(&["review"], "").expect("the program is there");
    assert_eq!(empty.status.code(), Some(0), "nothing changed, nothing found");
}

#[test]
fn jobs_are_listed_and_retried_by_key() {
    let rig = RUNTIME.block_on(async {
        let rig = Rig::start(FakeGithub::start()).await;
        rig.queue(JobKind::Review, &job("o/r", 7, "head1", None)).await;
        rig
    });
    let url = format!("http://{}", rig.address);
    let Some(listed) = sentinel(&["jobs", "list", "--json", "--database-url", &url], "") else { return };
    let rows: Value = serde_json::from_slice(&listed.stdout).expect("one JSON document");
    assert_eq!((&rows[0]["key"], &rows[0]["status"]), (&"o/r#7@head1".into(), &"queued".into()));
    let retry = sentinel(&["jobs", "retry", "o/r#7@head1", "--database-url", &url], "")
        .expect("the program is there");
    assert_eq!(retry.status.code(), Some(2), "a job that waits is not retried");
    let dead = sentinel(&["jobs", "dead", "--database-url", &url], "").expect("the program is there");
    assert_eq!(text(&dead.stdout), "0 job(s)\n");
}
