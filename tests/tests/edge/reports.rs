//! Reports of tests, as workflows send them, and as attackers do.

use super::{KEY, Outcome, World, same};
use sentinel_tests::deliver::{self, Answer};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// As pytest writes it: two tests of a green run, and of a red one.
fn pytest(load: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="1.2" timestamp="2026-01-01T00:00:00+00:00" hostname="runner"><testcase classname="tests.test_money" name="test_round" time="0.01" /><testcase classname="tests.test_money" name="test_load" time="0.5">{load}</testcase><testcase classname="tests.test_money" name="test_later" time="0.0"><skipped type="pytest.skip" message="later">x</skipped></testcase></testsuite></testsuites>"#
    )
}

const FAILURE: &str = r#"<failure message="assert 3 == 4">def test_load(): &gt; assert 3 == 4</failure>"#;

/// Sends a report of the job `test` with the query that a workflow has.
fn send(
    world: &World,
    key: &str,
    repository: &str,
    run: u64,
    more: &str,
    body: &[u8],
) -> anyhow::Result<Answer> {
    let path = format!("/api/reports?repository={repository}&run={run}&job=test&branch=main{more}");
    deliver::post(&world.worker.url, &path, key, "application/xml", body)
}

fn rates(world: &World, key: &str, repository: &str) -> anyhow::Result<Value> {
    Ok(deliver::get(&world.worker.url, &format!("/api/tests?repository={repository}"), Some(key))?.body["tests"].clone())
}

pub(super) fn rates_are_told(world: &World) -> Outcome {
    let repository = format!("acme/reports-{}", world.id());
    let run = world.id();
    let sha = "&sha=0123456789012345678901234567890123456789";
    let (red, green) = (pytest(FAILURE), pytest(""));
    let first = send(world, KEY, &repository, run, &format!("&attempt=1{sha}"), red.as_bytes())?;
    same(&first.status, &201, &first.body)?;
    same(&first.body["status"], &json!("recorded"), &first.body)?;
    let counts = json!({ "passed": 1, "passed_on_retry": 0, "failed": 1, "skipped": 1, "seconds": 0.51 });
    same(&first.body["counts"], &counts, &first.body)?;
    let name = "tests/test_money.py::test_load";
    same(&first.body["tests"], &json!([{ "name": name, "outcome": "failed", "flaky": false }]), &first.body)?;
    // The network may end before the answer: the workflow sends it again.
    let again = send(world, KEY, &repository, run, &format!("&attempt=1{sha}"), red.as_bytes())?;
    same(&(again.status, again.body["status"].clone()), &(200, json!("unchanged")), &again.body)?;
    // Tried again on the same commit, it passes; so it does in a later run.
    let passed = send(world, KEY, &repository, run, &format!("&attempt=2{sha}"), green.as_bytes())?;
    same(&passed.status, &201, &passed.body)?;
    send(world, KEY, &repository, run + 1, "", green.as_bytes())?;
    let tests = rates(world, KEY, &repository)?;
    same(&tests.as_array().map(Vec::len), &Some(1), &tests)?;
    let test = &tests[0];
    let told = ["name", "runs", "failed_runs", "retried", "failures", "from", "flaky"]
        .map(|field| test[field].clone());
    same(&json!(told), &json!([name, 3, 1, 1, 0, "reports", true]), &tests)?;
    let (low, high) = (test["rate"]["low"].as_f64(), test["rate"]["high"].as_f64());
    same(&(low > Some(0.05) && low < Some(0.07) && high > Some(0.78) && high < Some(0.80)), &true, &tests)?;
    // The next time that it fails, the answer says that it is known.
    let known = send(world, KEY, &repository, run + 2, "", red.as_bytes())?;
    same(&known.body["tests"][0]["flaky"], &json!(true), &known.body)
}

pub(super) fn refused(world: &World) -> Outcome {
    let repository = format!("acme/refused-{}", world.id());
    let refused = |body: &[u8], status: u16, reason: &str| -> Outcome {
        let answer = send(world, KEY, &repository, 1, "", body)?;
        same(&answer.status, &status, &answer.body)?;
        same(&answer.content_type.as_str(), &"application/problem+json", &answer.body)?;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        same(&detail.contains(reason), &true, &answer.body)
    };
    let entities: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let bomb = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY l0 \"lol\">{entities}]>\n<testsuite name=\"&l9;\"/>"
    );
    refused(bomb.as_bytes(), 422, "line 2 of the report: a document type is refused")?;
    refused(b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><testsuite/>", 422, "document type")?;
    refused(
        b"<testsuite>\n<testcase name='x'><failure>&l9;</failure></testcase></testsuite>",
        422,
        "line 2",
    )?;
    refused(b"<testsuite>\n<testcase name='\xff'/></testsuite>", 422, "UTF-8")?;
    refused(b"{}", 422, "no report")?;
    refused("<testsuite>".repeat(1000).as_bytes(), 422, "nested deeper")?;
    let mut large = b"<testsuite><system-out>".to_vec();
    large.resize(2 * 1024 * 1024 + 1, b'x');
    refused(&large, 413, "2097152")?;
    let path = format!("/api/reports?repository={repository}&run=1&job=test");
    let plain = deliver::post(&world.worker.url, &path, KEY, "text/plain", pytest("").as_bytes())?;
    same(&plain.status, &415, &plain.body)?;
    for wrong in [
        "repository=x&run=1&job=t",
        "repository=a/b&run=0&job=t",
        "repository=a/b&run=1",
        "repository=a/b&job=t",
    ] {
        let answer = deliver::post(
            &world.worker.url,
            &format!("/api/reports?{wrong}"),
            KEY,
            "text/xml",
            pytest("").as_bytes(),
        )?;
        same(&answer.status, &400, &(wrong, answer.body))?;
    }
    same(&rates(world, KEY, &repository)?, &json!([]), &"nothing of this was stored")
}

pub(super) fn of_tenants(world: &World) -> Outcome {
    let repository = format!("acme/tenant-{}", world.id());
    let (ours, theirs) = (world.id(), world.id());
    let (key, _) = world.named_key("ours", "read", Some(ours))?;
    let (other, _) = world.named_key("theirs", "read", Some(theirs))?;
    let report = pytest(FAILURE);
    let early = send(world, &key, &repository, 1, "", report.as_bytes())?;
    same(
        &(
            early.status,
            early.body["detail"].as_str().is_some_and(|told| told.contains("no run of the repository")),
        ),
        &(404, true),
        &early.body,
    )?;
    let mut run = world.failed_run_in(&repository, None);
    run["installation"]["id"] = json!(ours);
    world.post(&world.delivery(&run))?;
    same(&send(world, &other, &repository, 1, "", report.as_bytes())?.status, &404, &"another team's key")?;
    same(&send(world, &key, &repository, 1, "", report.as_bytes())?.status, &201, &"the team's key")?;
    same(&rates(world, &key, &repository)?.as_array().map(Vec::len), &Some(1), &"the team sees it")?;
    same(&rates(world, &other, &repository)?, &json!([]), &"the other team does not")
}

/// The overview tells of a test how often it fails, and from where that is known.
pub(super) fn in_a_browser(world: &World) -> Outcome {
    let Ok(chromium) = std::env::var("CHROMIUM") else {
        return Err("no Chromium found: install one, or set CHROMIUM to its path".into());
    };
    let repository = format!("acme/shown-{}", world.id());
    let retried = r#"<flakyFailure message="assert 3 == 4"/>"#;
    for (run, load) in [(1, FAILURE), (2, retried), (3, ""), (4, ""), (5, retried)] {
        send(world, KEY, &repository, run, "", pytest(load).as_bytes())?;
    }
    let pictures =
        std::env::var_os("SENTINEL_SCREENSHOTS").map_or_else(|| world.folder.clone(), PathBuf::from);
    let output = Command::new("node")
        .arg(format!("{}/js/reports.mjs", env!("CARGO_MANIFEST_DIR")))
        .args([&world.worker.url, KEY, &chromium])
        .arg(&world.programs.tools)
        .arg(pictures)
        .arg(&repository)
        .output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    same(&output.status.success(), &true, &said)
}

fn script_of_the_action() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/github/reports.sh")
}

/// By the command, and by the script of the Action.
pub(super) fn sent_by_programs(world: &World) -> Outcome {
    let repository = format!("acme/sent-{}", world.id());
    let folder = world.folder.join("reports");
    std::fs::create_dir_all(folder.join("deep"))?;
    std::fs::write(folder.join("a.xml"), pytest(FAILURE))?;
    std::fs::write(folder.join("deep/b.xml"), pytest("").replace("test_money", "test_other"))?;
    std::fs::write(folder.join("deep/pom.xml"), "<project/>")?;
    let run = |mut program: Command, id: u64| -> anyhow::Result<String> {
        let output = program
            .env("SENTINEL_URL", &world.worker.url)
            .env("SENTINEL_API_KEY", KEY)
            .env("GITHUB_REPOSITORY", &repository)
            .env("GITHUB_RUN_ID", id.to_string())
            .env("GITHUB_RUN_ATTEMPT", "1")
            .env("GITHUB_JOB", "test")
            .env("GITHUB_SHA", "ab".repeat(20))
            .env("GITHUB_HEAD_REF", "")
            .env("GITHUB_REF_NAME", "main")
            .env("JOB", "tests of ä & b")
            .current_dir(&folder)
            .output()?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(output.status.success(), "{said}");
        Ok(said)
    };
    let upload = |arguments: &[&str]| {
        let mut program = Command::new(&world.programs.sentinel);
        program.args(["reports", "upload"]).args(arguments);
        run(program, 5)
    };
    let said = upload(&["."])?;
    same(&said.contains("recorded: 3 passed, 0 passed on retry, 1 failed, 2 skipped"), &true, &said)?;
    same(
        &(said.contains("failed: tests/test_money.py::test_load"), said.contains("pom.xml")),
        &(true, true),
        &said,
    )?;
    same(&upload(&["."])?.contains("sent before"), &true, &"sent again")?;
    let said = upload(&["a.xml", "--json"])?;
    same(&serde_json::from_str::<Value>(&said)?[0]["counts"]["failed"], &json!(1), &said)?;
    same(&upload(&["deep/pom.xml"]).is_err(), &true, &"what was named and is no report")?;

    let mut script = Command::new("bash");
    script.arg(script_of_the_action()).env("REPORTS", "a.xml deep/b.xml nothing*.xml");
    let said = run(script, 6)?;
    same(&(said.contains("sent reports with"), said.contains("warning")), &(true, false), &said)?;
    let tests = rates(world, KEY, &repository)?;
    same(&(tests[0]["runs"].clone(), tests[0]["failed_runs"].clone()), &(json!(3), json!(3)), &tests)?;
    let mut wrong = Command::new("bash");
    wrong.arg(script_of_the_action()).env("REPORTS", "deep/pom.xml");
    let said = run(wrong, 7)?;
    same(&(said.contains("::warning"), said.contains("422")), &(true, true), &said)?;
    let mut of_a_fork = Command::new("bash");
    of_a_fork.arg(script_of_the_action()).env("REPORTS", "a.xml");
    let output = of_a_fork.env("SENTINEL_API_KEY", "").output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    same(&(output.status.success(), said.contains("there is no key")), &(true, true), &said)
}
