//! `sentinel review` and `sentinel jobs`, called as a person and as a program.

use sentinel_shared::store::jobs::JobKind;
use sentinel_tests::github::{FakeGithub, Fault, Log, Run, TOKEN};
use sentinel_tests::node::{RUNTIME, Rig, job};
use sentinel_tests::stack::{free_port, work_folder};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Duration;

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
fn a_files_name_gives_a_ci_runner_and_a_terminal_no_order() {
    // As git quotes it: a line break, a workflow command, an escape, a character that turns the text around.
    let name = r#"x\n::error ::owned\n##[error]\033[31m\342\200\256.ts"#;
    let diff = format!(
        "diff --git \"a/{name}\" \"b/{name}\"\n--- \"a/{name}\"\n+++ \"b/{name}\"\n@@ -1,2 +1,3 @@\n a\n+  debugger; // ##[error] \u{202e}\u{9b}2J\n b\n"
    );
    let diff = diff.replace("debugger; //", "debugger;\n+<<<<<<< //").replace("+1,3", "+1,4");
    for form in [&["review"][..], &["review", "--json"], &["review", "--sarif"]] {
        let Some(output) = sentinel(form, &diff) else { return };
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("owned"), "{said}");
        assert!(
            !said.contains("##[") && !said.lines().any(|line| line.trim_start().starts_with("::")),
            "{said}"
        );
        let hidden = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
        assert!(!said.contains(hidden), "{said:?}");
    }
    let output = sentinel(&["review", "no such file\n::error ::x"], "").expect("the program is there");
    let said = text(&output.stderr);
    assert!(!said.lines().any(|line| line.starts_with("::")) && output.status.code() == Some(2), "{said}");
}

#[test]
fn what_cannot_be_reviewed_is_exit_code_two_and_a_sentence() {
    let cases =
        [("this is no diff", "not a unified diff"), ("diff --cc x\n@@@ -1 -1 +1 @@@\n", "combined diff")];
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

/// A worker that answers `/health` with this state and these wrong settings, and knows nothing else.
fn worker(status: &str, wrong: &[Value]) -> String {
    let health = json!({
        "status": status, "service": "sentinel-dashboard", "model_version": null, "model_source": null,
        "model_refused": null, "missing": [], "wrong": wrong, "unlimited": [], "evidence": "log",
        "github": { "state": "works" },
    });
    let health = move || async move { axum::Json(health) };
    let router = axum::Router::new().route("/health", axum::routing::get(health));
    RUNTIME.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    })
}

#[test]
fn doctor_tells_of_each_setting_that_the_worker_cannot_follow_and_what_to_do() {
    let wrong = [
        json!({ "setting": "SENTINEL_RETENTION_DAYS", "problem": "it must be a whole number of days; nothing is forgotten" }),
        json!({ "setting": "SENTINEL_PUBLISH_VERDICTS", "problem": "it must be on or off\n::error ::owned" }),
    ];
    let url = worker("degraded", &wrong);
    let doctor = ["doctor", "--url", &url, "--api-key", "key"];
    let Some(output) = sentinel(&doctor, "") else { return };
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let told: Vec<&str> = said.lines().filter(|line| line.contains("settings")).collect();
    assert_eq!(told.len(), 2, "{said}");
    for part in [
        "FAIL",
        "SENTINEL_RETENTION_DAYS: it must be a whole number of days; nothing is forgotten",
        "wrangler.toml",
    ] {
        assert!(told[0].contains(part), "{part} is not in {said}");
    }
    assert!(!said.lines().any(|line| line.starts_with("::")), "{said}");
    let output = sentinel(&[&doctor[..], &["--json"]].concat(), "").expect("the program is there");
    let json: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let settings =
        json["checks"].as_array().into_iter().flatten().filter(|check| check["about"] == "settings");
    assert_eq!((settings.count(), &json["works"]), (2, &false.into()), "{json}");
    // None is told of where none is wrong.
    let url = worker("healthy", &[]);
    let output = sentinel(&["doctor", "--url", &url, "--api-key", "key"], "").expect("the program is there");
    assert!(!text(&output.stdout).contains("settings"), "{}", text(&output.stdout));
}

#[test]
fn a_command_whose_reader_goes_away_ends_quietly() {
    let rig = RUNTIME.block_on(async {
        let rig = Rig::start(FakeGithub::start()).await;
        rig.queue(JobKind::Review, &job("o/r", 7, "head1", None)).await;
        rig
    });
    let database = format!("http://{}", rig.address);
    let worker = worker("healthy", &[]);
    let commands: [(&[&str], &str); 8] = [
        (&["model", "show"], ""),
        (&["classify", "-"], LOG),
        (&["classify", "-", "--json"], LOG),
        (&["review"], DIFF),
        (&["review", "--json"], DIFF),
        (&["jobs", "list", "--database-url", &database], ""),
        (&["jobs", "list", "--json", "--database-url", &database], ""),
        (&["doctor", "--url", &worker, "--api-key", "key"], ""),
    ];
    for (args, input) in commands {
        let Some(mut command) = sentinel_tests::sentinel() else { return };
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        command.args(args).stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.as_str()), (Some(141), ""), "{args:?}");
    }
    // And where nobody hears what went wrong, the exit code still tells.
    let Some(mut command) = sentinel_tests::sentinel() else { return };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = command.args(["review", "/no/such/file"]).stderr(writer).status().expect("it ends");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_server_whose_output_nobody_reads_serves() {
    let Some(mut command) = sentinel_tests::sentinel() else { return };
    let port = free_port().expect("a free port");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let listen = format!("127.0.0.1:{port}");
    command.args(["mcp", "--http", &listen, "--token", "token"]).env("SENTINEL_LOG", "trace");
    command.stdin(Stdio::null()).stdout(writer.try_clone().expect("a pipe")).stderr(writer);
    let mut child = command.spawn().expect("it starts");
    let answered = (0..500).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        sentinel_tests::deliver::get(&format!("http://{listen}"), "/mcp", None).ok()
    });
    let ended = child.try_wait().expect("its state");
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!((answered.map(|answer| answer.status), ended), (Some(401), None));
}

const LOG: &str = "2026-01-01T00:00:00.0000000Z ##[group]Run pytest\n2026-01-01T00:00:01.0000000Z ##[endgroup]\n\
    2026-01-01T00:00:02.0000000Z FAILED tests/test_money.py::test_round - AssertionError: assert 3 == 4\n\
    2026-01-01T00:00:02.0000000Z ========================= 1 failed, 41 passed in 2.31s =========================\n\
    2026-01-01T00:00:03.0000000Z ##[error]Process completed with exit code 1.\n";

#[test]
fn inside_a_workflow_each_failed_job_gets_an_annotation_and_a_summary() {
    let Some(mut command) = sentinel_tests::sentinel() else { return };
    let github = FakeGithub::start();
    let job = |id: u64, name: &str, conclusion: &str| {
        json!({ "id": id, "name": name, "conclusion": conclusion, "html_url": "https://github.com/team/app/job",
            "steps": [{ "name": "Run pytest", "conclusion": conclusion }] })
    };
    let jobs = [job(1, "lint", "success"), job(2, "unit", "failure"), job(3, "old", "failure")];
    github.add(Run {
        repository: "team/app".into(),
        run_id: 70,
        attempt: 2,
        jobs: json!({ "total_count": 3, "jobs": jobs }),
        logs: [(2, Log::Bytes(LOG.into())), (3, Log::Missing)].into(),
    });
    let folder = work_folder("explain-run").expect("a folder");
    let summary = folder.join("summary.md");
    command.arg("explain-run").envs([
        ("GITHUB_API_URL", github.api_url().as_str()),
        ("GITHUB_REPOSITORY", "team/app"),
        ("GITHUB_RUN_ID", "70"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_TOKEN", TOKEN),
    ]);
    command.env("GITHUB_STEP_SUMMARY", &summary);
    // The fake's storage refuses whoever brings it the token.
    let output = command.output().expect("it ends");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.starts_with("::error title=Test Failure (") && said.contains("::unit: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(text(&output.stderr).contains("old: GitHub has no log of it"));
    let told = std::fs::read_to_string(&summary).expect("the summary");
    assert!(told.contains("Test Failure") && told.contains("unit / Run pytest"), "{told}");

    let output = command.arg("--json").output().expect("it ends");
    let json: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(json["jobs"][0]["prediction"], "Test Failure", "{json}");
    // A limit that is over soon is waited for, a long one is told.
    github.fail_next("/jobs", Fault::OutOfCalls(1));
    let output = command.output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("trying again in "), "{}", text(&output.stderr));
    github.fail_next("/jobs", Fault::OutOfCalls(1800));
    let output = command.output().expect("it ends");
    assert!(!output.status.success() && text(&output.stderr).contains("try again in "), "a long limit");
    for (name, value, expected) in
        [("GITHUB_TOKEN", "another", "actions: read"), ("GITHUB_RUN_ID", "71", "knows no run 71")]
    {
        let output = command.env(name, value).output().expect("it ends");
        assert!(
            !output.status.success() && text(&output.stderr).contains(expected),
            "{}",
            text(&output.stderr)
        );
        command.env("GITHUB_TOKEN", TOKEN);
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// A log of tests/fixtures/logs.
fn fixture(name: &str) -> String {
    format!("{}/fixtures/logs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_output_of_gh_gives_one_verdict_for_each_failed_job() {
    let log = std::fs::read_to_string(fixture("gh-log.log")).expect("the fixture");
    let Some(output) = sentinel(&["classify", "-"], &log) else { return };
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let blocks: Vec<&str> = said.split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{said}");
    assert_eq!(blocks[0], "lint\nNo failure found");
    assert!(blocks[1].starts_with("test (22) / Unit tests\nTest Failure ("), "{said}");
    assert!(blocks[1].contains("\n> ") && blocks[1].contains("\n  because of "), "{said}");
    assert!(blocks[2].starts_with("build / Compile\n") && blocks[2].contains("Build Failure"), "{said}");
    assert!(
        !said.contains('\x1b') && !said.contains("##["),
        "no colours and no commands in a pipe: {said:?}"
    );
    assert!(!said.contains("Unknown"), "{said}");
    let output =
        sentinel(&["classify", "-", "--job", "build", "--json"], &log).expect("the program is there");
    let json: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&json["job"], &json["jobs"][0]["step"]), (&"build".into(), &"Compile".into()));
    let output = sentinel(&["classify", "-", "--job", "none"], &log).expect("the program is there");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no job is called none; there are: lint, test (22), build"));
}

#[test]
fn programs_get_the_fields_of_a_single_job_beside_all_jobs() {
    let Some(output) = sentinel(&["classify", &fixture("actions.log"), "--json"], "") else { return };
    let one: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&one["prediction"], &one["log"]["lines"]), (&"Test Failure".into(), &57.into()), "{one}");
    assert!(
        one["confidence"].is_number() && one["top"].is_array() && one["model_version"].is_string(),
        "{one}"
    );
    let job = &one["jobs"][0];
    assert_eq!((&job["line"], &job["terms"], &job["job"]), (&one["line"], &one["terms"], &Value::Null));
    assert!(job["terms"][0]["term"].as_str().is_some_and(|term| !term.contains('“')), "{job}");
    let green = fixture("actions-green.log");
    let output = sentinel(&["classify", &green, "--json"], "").expect("the program is there");
    let none: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&none["found"], &none["prediction"]), (&false.into(), &Value::Null));
    let both = ["classify", &green, &fixture("actions.log"), "--json"];
    let output = sentinel(&both, "").expect("the program is there");
    let both: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((both["jobs"].as_array().map(Vec::len), &both["prediction"]), (Some(2), &Value::Null));
    assert_eq!(both["jobs"][1]["prediction"], "Test Failure");
}

/// An archive as GitHub offers it, of files with these names.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("a file");
        writer.write_all(bytes).expect("it fits");
    }
    writer.finish().expect("it ends").into_inner()
}

#[test]
fn an_archive_a_folder_and_a_compressed_file_are_read_like_the_logs_in_them() {
    let read = |name: &str| std::fs::read(fixture(name)).expect("the fixture");
    let (red, green) = (read("actions.log"), read("actions-green.log"));
    let folder = work_folder("classify").expect("a folder");
    let jobs = |output: &Output| {
        let json: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        let jobs = json["jobs"].as_array().expect("jobs").clone();
        jobs.iter()
            .map(|job| format!("{} {} {}", job["job"], job["step"], job["prediction"]))
            .collect::<Vec<_>>()
    };
    let archives = [
        archive(&[
            ("1_test.txt", &red),
            ("0_lint.txt", &green),
            ("test/1_Set up job.txt", b"x"),
            ("test/system.txt", b"y"),
        ]),
        archive(&[
            ("lint/3_Lint.txt", &green),
            ("test/4_Unit tests.txt", &red),
            ("test/1_Set up job.txt", b"fine\n"),
        ]),
    ];
    let expected = [
        [r#""lint" null null"#, r#""test" "Run npm test" "Test Failure""#],
        [r#""lint" null null"#, r#""test" "Unit tests" "Test Failure""#],
    ];
    for (bytes, expected) in archives.iter().zip(expected) {
        let path = folder.join("logs.zip");
        std::fs::write(&path, bytes).expect("written");
        let Some(output) = sentinel(&["classify", &path.display().to_string(), "--json"], "") else { return };
        assert_eq!(jobs(&output), expected, "{}", text(&output.stderr));
    }
    let unpacked = folder.join("unpacked");
    std::fs::create_dir_all(unpacked.join("test")).expect("a folder");
    std::fs::write(unpacked.join("0_lint.txt"), &green).expect("written");
    std::fs::write(unpacked.join("1_test.txt"), &red).expect("written");
    std::fs::write(unpacked.join("test/1_Set up job.txt"), "x").expect("written");
    let output = sentinel(&["classify", &unpacked.display().to_string(), "--json"], "").expect("the program");
    assert_eq!(jobs(&output), expected[0]);
    let packed = folder.join("job.log.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&red).expect("it fits");
    std::fs::write(&packed, encoder.finish().expect("it ends")).expect("written");
    let output = sentinel(&["classify", &packed.display().to_string(), "--json"], "").expect("the program");
    assert_eq!(jobs(&output), [r#"null "Run npm test" "Test Failure""#]);
}

#[test]
fn what_is_no_log_is_exit_code_two_and_a_sentence_that_says_what_to_do() {
    let folder = work_folder("no-logs").expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    std::fs::create_dir_all(folder.join("empty")).expect("a folder");
    let none = archive(&[("readme.md", b"x")]);
    let cases = [
        (file("empty.log", b""), "this is empty"),
        (file("blank.log", b"\n\n \n"), "this is empty"),
        (file("program", &[0u8, 159, 146, 150].repeat(1000)), "this is not a text log"),
        (file("cut.zip", &none[..none.len() / 2]), "no complete .zip archive"),
        (file("other.zip", &none), "there is no log in it"),
        (folder.join("empty").display().to_string(), "there is no log in it"),
        (folder.join("absent").display().to_string(), "opening"),
    ];
    for (path, sentence) in &cases {
        let Some(output) = sentinel(&["classify", path], "") else { return };
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{path}");
        assert!(said.contains(sentence) && said.lines().count() == 1, "{path}: {said}");
    }
    // Beside a log that is one, the others are told, and the exit code remembers.
    let both = ["classify", &cases[0].0, &fixture("actions.log")];
    let output = sentinel(&both, "").expect("the program");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("Test Failure") && text(&output.stderr).contains("this is empty"));
}
