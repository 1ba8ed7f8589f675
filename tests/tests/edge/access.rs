//! Keys, roles and sessions, and two teams on one worker that never see each other's rows.

use super::{KEY, Outcome, PYTEST_LOG, SECRET, World, database_call, same, text_log};
use sentinel_tests::deliver::{self, Delivery};
use sentinel_tests::github::Pull;
use sentinel_tests::routes::{ROUTES, Route};
use sentinel_tests::stack::Settings;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Requests made at random with each team's key; the API takes 300 a minute.
const REQUESTS: usize = 160;
const PATCH: &str = "@@ -1,2 +1,3 @@\n export function load() {\n+  debugger;\n }\n";

/// What one call answered: status and text.
struct Said {
    status: u16,
    text: String,
    cookie: Option<String>,
    cache: Option<String>,
}

impl World {
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> anyhow::Result<Said> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.worker.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = config.new_agent().run(request.body(body.to_owned())?)?;
        let cookie =
            answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cache =
            answer.headers().get("cache-control").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Said {
            status: answer.status().as_u16(),
            text: answer.body_mut().read_to_string()?,
            cookie,
            cache,
        })
    }

    pub(super) fn as_json(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let said =
            self.call(method, path, &[("x-api-key", key), ("content-type", "application/json")], &body)?;
        Ok((said.status, serde_json::from_str(&said.text).unwrap_or_default()))
    }

    /// Creates an API key and returns it with its id.
    fn key(&self, role: &str, installation: Option<u64>) -> anyhow::Result<(String, i64)> {
        self.named_key(&format!("{role} of {installation:?}"), role, installation)
    }

    pub(super) fn named_key(
        &self,
        name: &str,
        role: &str,
        installation: Option<u64>,
    ) -> anyhow::Result<(String, i64)> {
        let wanted = json!({ "name": name, "role": role, "installation_id": installation });
        let (status, made) = self.as_json("POST", "/api/keys", KEY, &wanted)?;
        anyhow::ensure!(status == 201, "{made}");
        let key = made["key"].as_str().unwrap_or_default().to_owned();
        Ok((key, made["stored"]["id"].as_i64().unwrap_or_default()))
    }
}

// === keys and sessions ===

pub(super) fn keys(world: &World) -> Outcome {
    let (reader, id) = world.key("read", None)?;
    same(&reader.starts_with("sntl_"), &true, &"a key is recognisable")?;
    let metrics = world.call("GET", "/metrics", &[("x-api-key", KEY)], "")?;
    same(&metrics.cache.as_deref(), &Some("no-store"), &"figures are nobody's to keep")?;
    let stored = database_call(world, "SELECT * FROM api_keys")?.to_string();
    same(&stored.contains(&reader), &false, &"a key is stored as a hash")?;
    same(&deliver::get(&world.worker.url, "/api/history", Some(&reader))?.status, &200, &"a reader reads")?;
    for (method, path) in [
        ("POST", "/api/keys"),
        ("DELETE", "/api/keys?id=1"),
        ("POST", "/api/models/promote"),
        ("POST", "/api/models/rollback"),
        ("POST", "/api/models"),
        ("POST", "/api/jobs/replay"),
        ("POST", "/api/deliveries/redeliver"),
    ] {
        let (status, said) = world.as_json(method, path, &reader, &json!({}))?;
        same(&(status, said["title"].as_str()), &(403, Some("permission_denied")), &(path, &said))?;
    }
    for wrong in [json!({ "name": "", "role": "read" }), json!({ "name": "x", "role": "root" }), json!([])] {
        same(&world.as_json("POST", "/api/keys", KEY, &wrong)?.0, &400, &wrong)?;
    }
    let (status, listed) = world.as_json("GET", "/api/keys", KEY, &Value::Null)?;
    same(&(status, listed.to_string().contains(&reader)), &(200, false), &"a list never shows a key")?;
    // A browser that signed in with it is out as well when it is revoked.
    let origin = world.worker.url.clone();
    let json_type = ("content-type", "application/json");
    let signed_in = world.call(
        "POST",
        "/api/session",
        &[("origin", &origin), json_type],
        &json!({ "key": reader }).to_string(),
    )?;
    let cookie = signed_in.cookie.unwrap_or_default();
    let cookie = cookie.split(';').next().unwrap_or_default();
    let history =
        || Ok::<_, anyhow::Error>(world.call("GET", "/api/history", &[("cookie", cookie)], "")?.status);
    same(&history()?, &200, &signed_in.text)?;
    same(&world.as_json("DELETE", &format!("/api/keys?id={id}"), KEY, &Value::Null)?.0, &200, &"revoked")?;
    same(&history()?, &401, &"the browser of a revoked key")?;
    same(&deliver::get(&world.worker.url, "/api/history", Some(&reader))?.status, &403, &"a revoked key")
}

pub(super) fn uninstalled(world: &World) -> Outcome {
    let (gone, stays) = (world.id(), world.id());
    let (key_of_gone, _) = world.key("read", Some(gone))?;
    let (key_of_other, _) = world.key("read", Some(stays))?;
    let waiting = |installation: u64| {
        format!(
            "INSERT INTO review_jobs (key, kind, repository, number, installation_id, status, not_before, created_at) \
             VALUES ('waits {installation}', 'review', 'o/uninstalled', 1, {installation}, 'queued', 4102444800, 0)"
        )
    };
    for installation in [gone, stays] {
        database_call(world, &waiting(installation))?;
    }
    let tell = |action: &str| {
        let payload = json!({ "action": action, "installation": { "id": gone, "account": { "login": "gone" } }, "repositories": [], "sender": {} });
        world.post(&Delivery::signed("installation", &format!("delivery-{}", world.id()), &payload, SECRET))
    };
    let suspended = tell("suspend")?;
    same(&suspended.body["reason"], &json!("action_not_ours"), &suspended.body)?;
    // A comment's body that was signed for us, caught, and sent again under another event's name.
    let caught = json!({
        "action": "deleted", "repository": { "full_name": "o/uninstalled" }, "installation": { "id": gone },
        "issue": { "number": 1, "pull_request": {} }, "comment": { "id": 9 }, "sender": {},
    });
    let resent = world.post(&Delivery::signed(
        "installation",
        &format!("delivery-{}", world.id()),
        &caught,
        SECRET,
    ))?;
    same(&resent.status, &422, &resent.body)?;
    same(
        &deliver::get(&world.worker.url, "/api/history", Some(&key_of_gone))?.status,
        &200,
        &"it still opens",
    )?;
    let expected = json!({ "status": "uninstalled", "keys_revoked": 1, "jobs_ended": 1 });
    same(&tell("deleted")?.body, &expected, &"uninstalled")?;
    same(&tell("deleted")?.body["keys_revoked"], &json!(0), &"told again")?;
    let history = |key: &str| {
        Ok::<_, anyhow::Error>(deliver::get(&world.worker.url, "/api/history", Some(key))?.status)
    };
    same(&(history(&key_of_gone)?, history(&key_of_other)?), &(403, 200), &"whose keys still open")?;
    let statuses = database_call(
        world,
        "SELECT status FROM review_jobs WHERE repository = 'o/uninstalled' ORDER BY key",
    )?;
    let statuses = statuses.to_string();
    same(
        &(statuses.contains("skipped"), statuses.contains("queued")),
        &(true, true),
        &"the job of the one ended, the other's waits",
    )?;
    database_call(world, "DELETE FROM review_jobs WHERE repository = 'o/uninstalled'")?;
    Ok(())
}

pub(super) fn sessions(world: &World) -> Outcome {
    let origin = world.worker.url.as_str();
    let json_type = ("content-type", "application/json");
    let credentials = json!({ "key": KEY }).to_string();
    let sign_in =
        |origin: &str| world.call("POST", "/api/session", &[("origin", origin), json_type], &credentials);
    same(&sign_in("https://elsewhere.example")?.status, &403, &"another site can't sign anyone in")?;
    same(
        &world.call("POST", "/api/session", &[json_type], &credentials)?.status,
        &403,
        &"without an origin",
    )?;
    let signed_in = sign_in(origin)?;
    let cookie = signed_in.cookie.ok_or("a sign-in sets a cookie")?;
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        same(&cookie.contains(part), &true, &cookie)?;
    }
    let cookie = cookie.split(';').next().unwrap_or_default();
    same(&cookie.contains(KEY), &false, &"the cookie is not the key")?;
    let stored = database_call(world, "SELECT * FROM sessions")?.to_string();
    same(
        &stored.contains(cookie.split('=').nth(1).unwrap_or("?")),
        &false,
        &"a session is stored as a hash",
    )?;
    same(
        &world.call("GET", "/api/keys", &[("cookie", cookie)], "")?.status,
        &200,
        &"the operator's session",
    )?;
    let change = |origin: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie), json_type], origin].concat();
        world.call("POST", "/api/jobs/replay", &headers, r#"{"key":"none"}"#)
    };
    same(&change(&[])?.status, &403, &"a change without an origin")?;
    same(&change(&[("origin", "https://elsewhere.example")])?.status, &403, &"a change from elsewhere")?;
    same(&change(&[("origin", origin)])?.status, &404, &"a change from here")?;
    let out = world.call("DELETE", "/api/session", &[("cookie", cookie), ("origin", origin)], "")?;
    same(
        &(out.status, out.cookie.is_some_and(|cookie| cookie.contains("Max-Age=0"))),
        &(200, true),
        &out.text,
    )?;
    same(&world.call("GET", "/api/keys", &[("cookie", cookie)], "")?.status, &401, &"after signing out")?;
    let nobody = world.call("GET", "/api/session", &[("cookie", cookie)], "")?;
    same(&(nobody.status, nobody.text.as_str()), &(200, r#"{"name":null}"#), &"nobody is signed in")
}

/// A worker of its own: what is counted here must not count against the other trials.
pub(super) fn wrong_keys(world: &World) -> Outcome {
    let folder = world.folder.join("wrong-keys");
    std::fs::create_dir_all(&folder)?;
    let database = world.programs.start_database(&folder.join("keys.db"), 0, super::DATABASE_TOKEN)?;
    let settings = Settings { vars: super::vars(&world.github, &database.url), ..Settings::default() };
    let worker = world.programs.start_worker(&folder.join("worker"), &settings)?;
    let ask = |key: &str| deliver::get(&worker.url, "/api/history?limit=1", Some(key));
    let make = |name: &str| -> anyhow::Result<String> {
        let body = json!({ "name": name, "role": "read" }).to_string();
        let made = deliver::post(&worker.url, "/api/keys", KEY, "application/json", body.as_bytes())?;
        Ok(made.body["key"].as_str().unwrap_or_default().to_owned())
    };
    let (first, second) = (make("operator")?, make("operator")?);
    // The limiter's windows are minutes of the clock, so that 700 in seconds fall into two of 300 at most.
    for shape in ["sntl_", "", "no key "] {
        let mut statuses = BTreeSet::new();
        for at in 0..700 {
            statuses.insert(ask(&format!("{shape}{at:064x}"))?.status);
        }
        let counted = statuses.contains(&429) && statuses.is_subset(&BTreeSet::from([403, 429]));
        same(&counted, &true, &(shape, &statuses))?;
    }
    same(&(ask(&first)?.status, ask(KEY)?.status), &(200, 200), &"good keys are not locked out by bad ones")?;
    let cookie = format!("sentinel_session={}", "07".repeat(32));
    let session = ureq::get(format!("{}/api/history", worker.url)).header("cookie", &cookie);
    let answer = session.config().http_status_as_error(false).build().call()?;
    let status = answer.status().as_u16();
    same(&[401, 429].contains(&status), &true, &("a made-up session", status))?;
    // The name is no bucket.
    let mut statuses = BTreeSet::new();
    for _ in 0..700 {
        statuses.insert(ask(&first)?.status);
    }
    same(&statuses, &BTreeSet::from([200, 429]), &"one key's calls")?;
    same(&(ask(&second)?.status, ask(KEY)?.status), &(200, 200), &"another key and the operator's")
}

// === forgetting ===

pub(super) fn forgotten(world: &World) -> Outcome {
    let count = |of: &str| -> anyhow::Result<Value> {
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM inferences WHERE repository = '{of}') + \
             (SELECT COUNT(*) FROM review_jobs WHERE repository = '{of}') + \
             (SELECT COUNT(*) FROM deliveries WHERE repository = '{of}')"
        );
        Ok(database_call(world, &sql)?["rows"][0][0]["value"].clone())
    };
    let orphans = "SELECT (SELECT COUNT(*) FROM telemetry WHERE inference_id NOT IN (SELECT id FROM inferences)) + \
        (SELECT COUNT(*) FROM feedback WHERE inference_id NOT IN (SELECT id FROM inferences)) + \
        (SELECT COUNT(*) FROM feedback WHERE job_key NOT IN (SELECT key FROM review_jobs))";
    let team = Team::settle(world, "nightjar")?;
    let other = Team::settle(world, "bittern")?;
    let erase = format!("/api/repositories?name={}/app", team.word);
    let (status, said) = world.as_json("DELETE", &erase, &other.key, &Value::Null)?;
    same(&(status, said["rows"].clone()), &(200, json!(0)), &"another team's key takes nothing")?;
    let (reader, _) = world.key("read", None)?;
    same(&world.as_json("DELETE", &erase, &reader, &Value::Null)?.0, &403, &"nor does a reader's")?;
    let (status, said) = world.as_json("DELETE", &erase, &team.key, &Value::Null)?;
    same(&(status, said["rows"].as_u64() >= Some(6)), &(200, true), &said)?;
    same(&count("nightjar/app")?, &json!("0"), &"rows of the repository")?;
    same(&(count("bittern/app")? == json!("0")), &false, &"the other's rows")?;
    same(&database_call(world, orphans)?["rows"][0][0]["value"], &json!("0"), &"rows without their parent")?;
    // Age: the sweep forgets what is older than a year.
    for (table, column) in
        [("inferences", "timestamp"), ("review_jobs", "finished_at"), ("deliveries", "received_at")]
    {
        let old = format!(
            "UPDATE {table} SET {column} = unixepoch() - 366 * 86400 WHERE repository = 'bittern/app'"
        );
        database_call(world, &old)?;
    }
    deliver::get(&world.worker.url, "/__scheduled", None)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while count("bittern/app")? != json!("0") {
        same(&(Instant::now() < deadline), &true, &count("bittern/app")?)?;
        std::thread::sleep(Duration::from_millis(200));
    }
    same(&database_call(world, orphans)?["rows"][0][0]["value"], &json!("0"), &"rows without their parent")
}

pub(super) fn what_is_missing(world: &World) -> Outcome {
    let key: &[(&str, &str)] = &[("x-api-key", KEY)];
    let page: &[(&str, &str)] = &[("origin", &world.worker.url)];
    for (method, path, headers, body, status, told) in [
        ("GET", "/api/models/bundle", key, "", 400, "the query has no version"),
        ("GET", "/api/models/diff", key, "", 400, "the query has no version"),
        ("GET", "/api/job", key, "", 400, "the query has no key"),
        ("GET", "/api/inference?repository=o%2Fr", key, "", 400, "the query has no subject"),
        ("GET", "/api/cause", key, "", 400, "the query has no id"),
        ("GET", "/api/failure", key, "", 400, "the query has no id"),
        ("GET", "/api/run?run=1&attempt=1", key, "", 400, "the query has no repository"),
        ("GET", "/api/run?repository=o%2Fr&attempt=1", key, "", 400, "the query has no run"),
        ("GET", "/api/run?repository=o%2Fr&run=1", key, "", 400, "the query has no attempt"),
        ("DELETE", "/api/keys", key, "", 400, "the query has no id"),
        ("DELETE", "/api/repositories", key, "", 400, "the query has no name"),
        ("GET", "/setup/done?state=x", &[], "", 400, "the query has no code"),
        ("POST", "/api/models/promote", key, "{}", 422, "the payload has no version"),
        ("POST", "/api/session", page, "{}", 422, "the payload has no key"),
        ("POST", "/api/session", page, "{", 400, "the body is not the JSON expected here: line 1"),
    ] {
        let said = world.call(method, path, headers, body)?;
        let problem: Value = serde_json::from_str(&said.text)?;
        same(&(said.status, &problem["detail"]), &(status, &json!(told)), &(method, path))?;
    }
    Ok(())
}

// === setting up ===

pub(super) fn app_is_made(world: &World) -> Outcome {
    let page = world.call("GET", "/setup?org=acme-inc", &[], "")?;
    same(&page.status, &200, &page.text)?;
    for part in [
        r#"action="https://github.com/organizations/acme-inc/settings/apps/new?state="#,
        "&quot;pull_requests&quot;:&quot;write&quot;",
        &format!("{}/webhook/github", world.worker.url),
        &format!("{}/setup/done", world.worker.url),
    ] {
        same(&page.text.contains(part), &true, &part)?;
    }
    same(&page.text.contains("{{"), &false, &page.text)?;
    same(&world.call("GET", "/setup?org=%22%3E%3Cscript", &[], "")?.status, &400, &"no organisation")?;
    let cookie = page.cookie.ok_or("the page gives a state")?;
    for part in ["HttpOnly", "SameSite=Lax", "Path=/setup"] {
        same(&cookie.contains(part), &true, &cookie)?;
    }
    let cookie = cookie.split(';').next().unwrap_or_default();
    let state = cookie.strip_prefix("sentinel_setup=").ok_or("its name")?;
    same(&page.text.contains(&format!("apps/new?state={state}")), &true, &page.text)?;
    let code = world.github.confirm_manifest();
    let done = format!("/setup/done?code={code}&state={state}");
    let own: &[(&str, &str)] = &[("cookie", cookie)];
    // A stranger's link: a code, and no state of this browser.
    for (path, headers) in [
        (format!("/setup/done?code={code}"), own),
        (format!("/setup/done?code={code}&state="), own),
        (format!("/setup/done?code={code}&state={}", "0".repeat(32)), own),
        (done.clone(), &[]),
    ] {
        same(&world.call("GET", &path, headers, "")?.status, &403, &path)?;
    }
    let made = world.call("GET", &done, own, "")?;
    same(&made.status, &200, &made.text)?;
    for part in [
        "printf &#39;%s&#39;",
        "made &lt;by&gt; GitHub",
        "wrangler secret put SENTINEL_WEBHOOK_SECRET",
        "GITHUB_APP_ID=4711",
        "BEGIN RSA PRIVATE KEY",
        "https://github.com/apps/sentinel-of-acme/installations/new",
    ] {
        let shown = part.replace("printf &#39;%s&#39;", "printf '%s'");
        same(&made.text.contains(&shown), &true, &(part, &made.text))?;
    }
    same(&world.call("GET", &done, own, "")?.status, &400, &"a code is good once")?;
    same(&world.call("GET", "/setup/done?code=a%2F..%2Fb", &[], "")?.status, &400, &"no code")
}

pub(super) fn doctor(world: &World) -> Outcome {
    let ask = |url: &str, key: &str| -> anyhow::Result<(Option<i32>, Value)> {
        let mut sentinel = std::process::Command::new(&world.programs.sentinel);
        sentinel.args(["doctor", "--json", "--node", &format!("http://127.0.0.1:{}", world.node_port)]);
        let output = sentinel.env("SENTINEL_URL", url).env("SENTINEL_API_KEY", key).output()?;
        Ok((output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default()))
    };
    let states = |found: &Value| -> Vec<String> {
        let checks = found["checks"].as_array().into_iter().flatten();
        checks.map(|check| format!("{}: {}", check["about"], check["state"]).replace('"', "")).collect()
    };
    let (code, found) = ask(&world.worker.url, KEY)?;
    same(&(code, found["works"].clone()), &(Some(0), json!(true)), &found)?;
    same(&states(&found).len(), &8, &found)?;
    let (code, found) = ask(&world.worker.url, "no key")?;
    same(&(code, states(&found).contains(&"API key: broken".to_owned())), &(Some(1), true), &found)?;
    let (code, found) = ask("http://127.0.0.1:9", KEY)?;
    same(&(code, states(&found)[0].as_str()), &(Some(1), "worker: broken"), &found)
}

/// The API's description is asked for what it promises, with all that Hypothesis can think of.
pub(super) fn described(world: &World) -> Outcome {
    let python = std::env::var("SENTINEL_TEST_PYTHON")?;
    let folder = world.folder.join("described");
    std::fs::create_dir_all(&folder)?;
    let database = world.programs.start_database(&folder.join("described.db"), 0, super::DATABASE_TOKEN)?;
    let settings = Settings {
        vars: super::vars(&world.github, &database.url),
        webhook_limit: Some(100_000),
        api_limit: Some(100_000),
        ..Settings::default()
    };
    let worker = world.programs.start_worker(&folder.join("worker"), &settings)?;
    for _ in 0..3 {
        world.delivery(&world.failed_run(text_log(PYTEST_LOG))).post(&worker.url)?;
    }
    let output = std::process::Command::new(python)
        .current_dir(&folder)
        .args(["-m", "schemathesis.cli", "run", &format!("{}/openapi.yaml", worker.url)])
        .args([
            "--header",
            &format!("X-API-Key: {KEY}"),
            "--max-examples",
            "12",
            "--seed",
            "42",
            "--no-color",
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
        ])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        // A change of key in the middle would lock the tool out, and it can't stand on a page of this address.
        .args(["--exclude-path", "/api/session"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tail: String = said.chars().rev().take(6000).collect::<Vec<_>>().into_iter().rev().collect();
    same(&output.status.success(), &true, &tail)?;
    // "  2174 generated, 2174 passed": a run that asked nothing would be green as well.
    let asked = tail.lines().find_map(|line| line.split_once(" generated")?.0.trim().parse::<u32>().ok());
    println!(
        "{}",
        tail.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    same(&(asked >= Some(500)), &true, &tail)
}

// === two teams ===

/// One team's traces on the worker, each with a word that is nowhere else.
struct Team {
    word: &'static str,
    installation: u64,
    key: String,
    inference: i64,
    /// The number of its run.
    run: u64,
    job: String,
    failed_delivery: String,
}

impl Team {
    fn settle(world: &World, word: &'static str) -> anyhow::Result<Self> {
        let installation = world.id();
        let log = PYTEST_LOG.replace("test_money.py", &format!("test_{word}.py"));
        let repository = format!("{word}/app");
        let mut run = world.failed_run_in(&repository, text_log(&log));
        run["installation"]["id"] = json!(installation);
        run["workflow_run"]["name"] = json!(format!("CI of {word}"));
        run["workflow_run"]["head_branch"] = json!(word);
        run["workflow_run"]["event"] = json!("push");
        run["repository"]["default_branch"] = json!(word);
        let verdict =
            world.post(&Delivery::signed("workflow_run", &format!("{word}-run"), &run, SECRET))?.body;
        let inference = verdict["inference"]["id"].as_i64().unwrap_or_default();
        let said = json!({ "inference_id": inference, "corrected_class": "Timeout" });
        // Who said it is the key's name, and the key is the team's.
        let (key, _) = world.named_key(&format!("key of {word}"), "admin", Some(installation))?;
        world.as_json("POST", "/api/feedback", &key, &said)?;
        world.github.open(Pull::new(&repository, 7, word, &[("src/load.ts", PATCH)]));
        let pull = json!({
            "action": "opened", "number": 7, "repository": { "full_name": repository },
            "installation": { "id": installation }, "sender": { "login": "octocat", "type": "User" },
            "pull_request": { "number": 7, "state": "open", "draft": false, "head": { "sha": word }, "base": { "sha": "base" } },
        });
        world.post(&Delivery::signed("pull_request", &format!("{word}-pull"), &pull, SECRET))?;
        let job = format!("{repository}#7@{word}");
        let deadline = Instant::now() + Duration::from_secs(40);
        let ended = format!(
            "SELECT status FROM review_jobs WHERE key = '{job}' AND status <> 'queued' AND status <> 'running'"
        );
        while database_call(world, &ended)?["rows"][0].is_null() {
            anyhow::ensure!(Instant::now() < deadline, "{job} does not end");
            std::thread::sleep(Duration::from_millis(200));
        }
        let failed_delivery = format!("{word}-failed");
        database_call(
            world,
            &format!(
                "INSERT INTO deliveries (hook, id, event, repository, installation_id, status, record, lease_until, received_at) VALUES ('77', '{failed_delivery}', 'workflow_run', '{repository}', {installation}, 'failed', '{{}}', 0, 0)"
            ),
        )?;
        // The recorded times are long ago, and what nobody has seen for 30 days is not told as red.
        database_call(
            world,
            &format!("UPDATE cause_branches SET last_at = unixepoch() WHERE repository = '{repository}'"),
        )?;
        let run = run["workflow_run"]["id"].as_u64().unwrap_or_default();
        Ok(Self { word, installation, key, inference, run, job, failed_delivery })
    }
}

/// Every route is asked with every kind of key that does not suffice for it.
pub(super) fn insufficient_keys(world: &World) -> Outcome {
    let installation = Some(world.id());
    let keys = [
        ("nobody", String::new(), &["Key", "Admin", "All", "Operator"][..]),
        ("a reader of all", world.key("read", None)?.0, &["Admin", "Operator"]),
        ("a reader of one installation", world.key("read", installation)?.0, &["Admin", "All", "Operator"]),
        ("an admin of one installation", world.key("admin", installation)?.0, &["All", "Operator"]),
    ];
    let mut asked = 0;
    for (holder, key, closed) in keys {
        for Route { method, path, needs } in ROUTES.iter().filter(|route| closed.contains(&route.needs)) {
            let headers: &[_] = if key.is_empty() { &[] } else { &[("x-api-key", key.as_str())] };
            let said = world.call(&method.to_uppercase(), path, headers, "")?;
            same(&said.status, &403, &(holder, method, path, needs, &said.text))?;
            asked += 1;
        }
    }
    same(&(asked > 50), &true, &asked)
}

/// One team asks for the other's cause, run and failure by their own names, and for its own.
fn no_memory_of_the_other(world: &World, mine: &Team, other: &Team) -> Outcome {
    for (team, status) in [(mine, 200), (other, 404)] {
        let Team { word, inference, run, .. } = team;
        let sql = format!("SELECT cause_id FROM failures WHERE id = {inference}");
        let row = database_call(world, &sql)?;
        let cause = row["rows"][0][0]["value"].as_str().unwrap_or_default().to_owned();
        for path in [
            format!("/api/cause?id={cause}"),
            format!("/api/failure?id={inference}"),
            format!("/api/run?repository={word}/app&run={run}&attempt=2"),
        ] {
            let answer = deliver::get(&world.worker.url, &path, Some(&mine.key))?;
            same(&answer.status, &status, &(&path, &answer.body))?;
        }
        for path in ["causes", "tests"] {
            let asked = format!("/api/{path}?repository={word}/app");
            let answer = deliver::get(&world.worker.url, &asked, Some(&mine.key))?;
            same(
                &answer.body[path].as_array().map(Vec::len),
                &Some(usize::from(status == 200)),
                &answer.body,
            )?;
        }
        let asked = format!("/api/causes?q=test_{word}");
        let answer = deliver::get(&world.worker.url, &asked, Some(&mine.key))?;
        same(
            &answer.body["causes"].as_array().map(Vec::len),
            &Some(usize::from(status == 200)),
            &(&asked, &answer.body),
        )?;
    }
    let red = deliver::get(&world.worker.url, "/api/red", Some(&mine.key))?.body;
    same(&red["branches"].as_array().map(Vec::len), &Some(1), &red)?;
    same(&red["branches"][0]["branch"], &json!(mine.word), &red)
}

pub(super) fn isolated(world: &World) -> Outcome {
    let teams = [Team::settle(world, "zebrafinch")?, Team::settle(world, "kingfisher")?];
    // What a curious reader could ask with: their own names and the other team's.
    let values = |team: &Team| {
        [
            team.inference.to_string(),
            team.job.replace('#', "%23"),
            format!("{}/app", team.word),
            team.installation.to_string(),
            team.failed_delivery.clone(),
            team.run.to_string(),
        ]
    };
    let values: Vec<String> =
        teams.iter().flat_map(values).chain(["1".into(), "".into(), "done".into()]).collect();
    let names = [
        "id",
        "key",
        "repository",
        "status",
        "limit",
        "after",
        "before",
        "since",
        "class",
        "days",
        "version",
        "subject",
        "installation_id",
        "branch",
        "author",
        "q",
    ];
    // A small generator of its own: a failure is repeated by running the test again.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut any = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for (mine, other) in [(&teams[0], &teams[1]), (&teams[1], &teams[0])] {
        let mut seen_mine = BTreeSet::new();
        for at in 0..REQUESTS {
            // Every route first as it is, then all at random.
            let Route { method, path, .. } =
                ROUTES.get(at).copied().unwrap_or_else(|| ROUTES[any(ROUTES.len())]);
            let method = &method.to_uppercase();
            let query: Vec<String> = (0..if at < ROUTES.len() { 0 } else { any(3) })
                .map(|_| format!("{}={}", names[any(names.len())], values[any(values.len())]))
                .collect();
            let asked = format!("{path}{}{}", if query.is_empty() { "" } else { "?" }, query.join("&"));
            let body = json!({
                "key": other.job, "hook": "77", "id": other.failed_delivery, "inference_id": other.inference,
                "corrected_class": "Network Error", "author": "curious", "name": "more", "role": "admin",
                "version": "lgbm_v3.0", "log": "error: no space left on device",
            });
            let body = if method == "GET" { String::new() } else { body.to_string() };
            let said = world.call(
                method,
                &asked,
                &[("x-api-key", &mine.key), ("content-type", "application/json")],
                &body,
            )?;
            // What was asked for may be named in the answer, and nothing more.
            let text = query.iter().fold(said.text.to_lowercase(), |text, part| {
                text.replace(&part.split('=').nth(1).unwrap_or("?").replace("%23", "#"), "")
            });
            same(&text.contains(other.word), &false, &(method, &asked, &said.text))?;
            same(&(said.status < 500 || path == "/webhook/github"), &true, &(method, &asked, &said.text))?;
            if text.contains(mine.word) {
                seen_mine.insert(path);
            }
        }
        for path in [
            "/api/history",
            "/api/jobs",
            "/api/deliveries",
            "/api/feedback",
            "/api/telemetry",
            "/api/causes",
            "/api/tests",
            "/api/red",
        ] {
            same(&seen_mine.contains(path), &true, &(path, "a team sees its own"))?;
        }
        no_memory_of_the_other(world, mine, other)?;
        // Totals are of their own rows: one verdict and one correction.
        let overview = deliver::get(&world.worker.url, "/api/dashboard", Some(&mine.key))?.body;
        same(&overview["inference_count"], &json!(1), &overview)?;
        let stats = deliver::get(&world.worker.url, "/api/feedback/stats", Some(&mine.key))?.body;
        same(&stats["total_records"], &json!(1), &stats)?;
        let timeline = deliver::get(&world.worker.url, "/api/timeline", Some(&mine.key))?.body;
        same(&timeline["counts"][0]["count"], &json!(1), &timeline)?;
        // Nothing of the other's was changed, and what is about all is closed.
        let untouched = format!(
            "SELECT (SELECT COUNT(*) FROM feedback WHERE inference_id = {}), (SELECT status FROM deliveries WHERE id = '{}')",
            other.inference, other.failed_delivery
        );
        let found = database_call(world, &untouched)?;
        same(
            &(found["rows"][0][0]["value"].clone(), found["rows"][0][1]["value"].clone()),
            &(json!("1"), json!("failed")),
            &found,
        )?;
        for path in ["/metrics", "/api/registry", "/api/keys", "/api/models/diff?version=x"] {
            same(&deliver::get(&world.worker.url, path, Some(&mine.key))?.status, &403, &path)?;
        }
    }
    Ok(())
}
