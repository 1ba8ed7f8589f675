//! `sentinel mine` on histories that the tests make, commit by commit.

use sentinel_tests::stack::work_folder;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const DAY: u64 = 86_400;
const START: u64 = 1_500_000_000;

/// A repository whose commits are dated as a test says.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    fn new(name: &str) -> Self {
        let folder = work_folder(&format!("mine-{name}")).expect("a folder");
        let repository = Self { folder };
        repository.git(0, &["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn git(&self, day: u64, arguments: &[&str]) {
        let date = format!("{} +0000", START + day * DAY);
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.folder).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]);
        git.args(["-c", "commit.gpgsign=false"]).args(arguments);
        git.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let output = git.output().expect("git is there");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn write(&self, path: &str, lines: &[&str]) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, lines.join("\n") + "\n").expect("a file");
    }

    fn commit(&self, day: u64, message: &str) {
        self.git(day, &["add", "--all"]);
        self.git(day, &["commit", "--quiet", "--message", message]);
    }

    /// The settled records and the counts, or None where `cargo xtask` did not name the program.
    fn mine(&self) -> Option<(Vec<Value>, Value)> {
        let mut command = sentinel_tests::sentinel()?;
        let out = self.folder.join(".mined");
        command.args(["mine", "--json", "--name", "o/r", "--repo"]).arg(&self.folder).arg("--out").arg(&out);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = serde_json::from_slice(&output.stdout).expect("one JSON document");
        let records =
            ["train", "valid", "test"].iter().flat_map(|part| lines(&out.join(format!("{part}.jsonl"))));
        Some((records.collect(), report))
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn of<'a>(records: &'a [Value], path: &str) -> Option<&'a Value> {
    records.iter().find(|record| record["path"] == path)
}

/// The text of the line of `record` that its first label points at.
fn pointed_at(record: &Value) -> String {
    let at = record["lines"][0].as_u64().expect("a line") as usize;
    record["hunk"].as_str().expect("text").split('\n').nth(at + 1).expect("it is in the hunk").to_owned()
}

#[test]
fn a_line_that_a_repair_rewrote_is_pointed_at_in_the_hunk_that_brought_it() {
    let repository = Repository::new("repair");
    repository.write(
        "src/parse.rs",
        &["fn parse(text: &str) -> usize {", "    let start = 1;", "    text.len() - start", "}"],
    );
    repository.write(
        "src/calm.rs",
        &["fn calm(text: &str) -> usize {", "    let end = 2;", "    text.len() + end", "}"],
    );
    repository.commit(0, "Count the letters, for jo@example.net");
    // Lines above move it down, and a reindentation touches it: blame looks through both.
    repository.write(
        "src/parse.rs",
        &[
            "// Letters.",
            "",
            "fn parse(text: &str) -> usize {",
            "        let start = 1;",
            "    text.len() - start",
            "}",
        ],
    );
    repository.commit(10, "Say what it is");
    repository.write(
        "src/parse.rs",
        &[
            "// Letters.",
            "",
            "fn parse(text: &str) -> usize {",
            "        let start = 0;",
            "    text.len() - start",
            "}",
        ],
    );
    repository.commit(30, "Fix wrong start of the letters (#7)");
    repository.write("README.md", &["done"]);
    repository.commit(1200, "Say that it is done");
    let Some((records, report)) = repository.mine() else { return };
    let parse = of(&records, "src/parse.rs").expect("the mended hunk");
    assert_eq!(
        (&parse["severity"], &parse["category"], &parse["repo"]),
        (&"bug".into(), &"logic".into(), &"o/r".into())
    );
    assert_eq!(pointed_at(parse), "+    let start = 1;");
    let calm = of(&records, "src/calm.rs").expect("the harmless hunk beside it");
    assert_eq!((&calm["severity"], &calm["lines"]), (&"none".into(), &serde_json::json!([])));
    assert_eq!((&report["commits"], &report["repairs"]), (&4.into(), &1.into()));
}

#[test]
fn a_merged_pull_request_is_one_change_and_its_title_its_subject() {
    let repository = Repository::new("merge");
    repository.write("a.py", &["def a(x):", "    y = x + 1", "    return y * 2"]);
    repository.commit(0, "One");
    repository.git(5, &["checkout", "--quiet", "-b", "topic"]);
    repository.write("a.py", &["def a(x):", "    y = x + 9", "    return y * 2"]);
    repository.commit(5, "wip");
    repository.write("a.py", &["def a(x):", "    y = x - 1", "    return y * 2"]);
    repository.commit(6, "wip again");
    repository.git(7, &["checkout", "--quiet", "main"]);
    let message = "Merge pull request #3 from o/topic\n\nFix crash on the first row";
    repository.git(7, &["merge", "--quiet", "--no-ff", "-m", message, "topic"]);
    repository.write("b.py", &["z = 1"]);
    repository.commit(1200, "Two");
    let Some((records, report)) = repository.mine() else { return };
    let mended = of(&records, "a.py").expect("the mended hunk");
    assert_eq!((&mended["severity"], pointed_at(mended)), (&"critical".into(), "+    y = x + 1".to_owned()));
    assert_eq!(report["commits"], 3);
}

#[test]
fn what_must_not_be_copied_is_left_out_or_replaced() {
    let repository = Repository::new("secret");
    let key = "api_key = \"0123456789abcdefghijABCDEFGHIJ\"";
    repository.write("key.py", &["def connect():", &format!("    {key}"), "    return api_key.wrong()"]);
    repository.write(
        "mail.py",
        &["@app.route", "def mail():", "    who = 'jo.doe@site.example.com'", "    return who.wrong()"],
    );
    repository.commit(0, "Connect");
    repository.write("key.py", &["def connect():", &format!("    {key}"), "    return api_key.right()"]);
    repository.write(
        "mail.py",
        &["@app.route", "def mail():", "    who = 'jo.doe@site.example.com'", "    return who.right()"],
    );
    repository.commit(9, "Fix wrong calls");
    repository.write("c.py", &["z = 1"]);
    repository.commit(1200, "More");
    let Some((records, report)) = repository.mine() else { return };
    assert!(of(&records, "key.py").is_none());
    // The hunk that brought it, and the one that shows it as context.
    assert_eq!(report["left_out_secret"], 2);
    let mail = of(&records, "mail.py").expect("the other one")["hunk"].to_string();
    assert!(mail.contains("user@example.com") && !mail.contains("jo.doe"), "{mail}");
    assert!(mail.contains("+@app.route"), "a mark is no part of an address: {mail}");
}

#[test]
fn a_young_repository_is_told_what_to_do() {
    let Some(mut command) = sentinel_tests::sentinel() else { return };
    let repository = Repository::new("young");
    repository.write("a.rs", &["fn a() {}"]);
    repository.commit(0, "One");
    let out = repository.folder.join(".mined");
    let output = command.args(["mine", "--repo"]).arg(&repository.folder).arg("--out").arg(&out).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--settled-days"));
}
