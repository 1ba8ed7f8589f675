//! `sentinel doctor`: checks every part of a deployment and says how to fix what does not work.

use crate::operate::worker_api::{Worker, agent};
use anyhow::Result;
use clap::Args;
use sentinel_shared::text::{printed, printed_json};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// The time that each part has to answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// The largest part of one answer that is read.
const ANSWER_LIMIT_BYTES: u64 = 1 << 20;

/// Check a deployment end to end and say what to fix. Changes nothing.
///
/// Checks the worker, through it the database and the model, and the node if --node is given. Exits with 1 if something
/// does not work.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  SENTINEL_URL=https://sentinel.example.workers.dev SENTINEL_API_KEY=… \\\n    \
    sentinel doctor --node http://10.0.0.5:50051"
)]
pub(super) struct Doctor {
    #[command(flatten)]
    worker: Worker,
    /// The address of the node, if it can be reached from here.
    #[arg(long, env = "SENTINEL_NODE_URL")]
    node: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The result of one check.
struct CheckResult {
    about: &'static str,
    state: CheckState,
    says: String,
}

#[derive(Clone, Copy, PartialEq)]
enum CheckState {
    Works,
    /// It works, but the operator should know something about it.
    Note,
    Broken,
}

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode> {
        let health = self.get("/health", false);
        let mut findings = vec![self.health(health.as_ref().ok())];
        findings.extend(health.iter().flat_map(|(_, health)| settings(health)));
        if health.is_ok() {
            findings.extend([
                self.key(),
                self.webhook(),
                self.database(),
                self.deliveries(),
                self.jobs(),
                self.playground(),
            ]);
        }
        findings.extend(self.node.as_deref().map(node));
        let broken = findings.iter().filter(|finding| finding.state == CheckState::Broken).count();
        if self.json {
            let rows: Vec<Value> = findings.iter().map(CheckResult::json).collect();
            let told = json!({ "works": broken == 0, "checks": rows });
            stdout!("{}", printed_json(&format!("{told:#}")));
        } else {
            findings.iter().for_each(CheckResult::print);
        }
        Ok(if broken > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn health(&self, answer: Option<&(u16, Value)>) -> CheckResult {
        let about = "worker";
        let Some((status, health)) = answer else {
            return broken(
                about,
                format!("{} does not answer: is it deployed, and is this its address?", self.worker.url),
            );
        };
        let names = |field: &str| {
            let listed = health[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            listed.collect::<Vec<_>>().join(", ")
        };
        let (missing, unlimited) = (names("missing"), names("unlimited"));
        let version = health["model_version"].as_str().unwrap_or("no model");
        match () {
            () if *status != 200 => {
                broken(about, format!("unhealthy ({status}): the built-in model does not load; deploy again"))
            }
            () if !missing.is_empty() => broken(
                about,
                format!("{missing} not set: `npx wrangler secret put NAME`, or [vars] in wrangler.toml"),
            ),
            () if health["model_refused"].is_object() => broken(
                about,
                format!(
                    "the promoted model was refused ({}); {version} serves: `sentinel model rollback`",
                    health["model_refused"]["reason"]
                ),
            ),
            () if !unlimited.is_empty() => note(
                about,
                format!("{version} serves; no rate limits ({unlimited}): bind them in wrangler.toml"),
            ),
            () if health["evidence"] != "log" => note(
                about,
                format!(
                    "{version} serves, and reads no logs: set GITHUB_TOKEN, or verdicts are made from the delivery alone"
                ),
            ),
            () => self.logs(version, &health["github"]),
        }
    }

    /// The worker itself tries to read a log, with its token and on the last failed run.
    fn logs(&self, version: &str, known: &Value) -> CheckResult {
        let about = "worker";
        let checked = match self.get("/api/github", true) {
            Ok((200, checked)) => checked,
            // Without a key that works, what the worker met last.
            _ => json!({ "check": known["state"], "since": known["since"] }),
        };
        let text = |field: &str| checked[field].as_str().unwrap_or("an unknown time");
        let repository = checked["repository"].as_str().unwrap_or("the last failed run's repository");
        match checked["check"].as_str().unwrap_or_default() {
            "works" => works(about, format!("{version} serves and reads logs")),
            "untried" => works(
                about,
                format!(
                    "{version} serves; GitHub accepts its token, and no failed run is there to read a log of"
                ),
            ),
            "token_refused" => broken(
                about,
                format!(
                    "GitHub refuses GITHUB_TOKEN since {}: make one that may read Actions, then `npx wrangler secret put GITHUB_TOKEN`; verdicts without a log are made again by themselves",
                    text("since")
                ),
            ),
            "refused" => broken(
                about,
                format!("GITHUB_TOKEN may not read the logs of {repository}: give it `Actions: read`"),
            ),
            "absent" => note(
                about,
                format!(
                    "{version} serves; its token does not see the last failed run of {repository}: is that repository among the token's?"
                ),
            ),
            "limited" => note(
                about,
                format!(
                    "{version} serves; GitHub limits its calls since {}: logs are read when that is over",
                    text("since")
                ),
            ),
            "away" => note(
                about,
                format!(
                    "{version} serves; GitHub is not well since {}: logs are read when it is",
                    text("since")
                ),
            ),
            _ => note(about, format!("{version} serves; whether it reads logs can't be told")),
        }
    }

    fn key(&self) -> CheckResult {
        match self.get("/api/session", true) {
            Ok((200, who)) if who["name"].is_string() => works("API key", format!("{} ({})", who["name"].as_str().unwrap_or_default(), who["role"].as_str().unwrap_or_default())),
            Ok((200, _)) => broken("API key", "the worker does not know this key: is SENTINEL_API_KEY the one that was put, and not revoked?".into()),
            Ok((status, _)) => broken("API key", format!("the worker answered {status}")),
            Err(error) => broken("API key", error.to_string()),
        }
    }

    /// An unsigned delivery must be refused. Only a count of it is stored.
    fn webhook(&self) -> CheckResult {
        let about = "webhook";
        let sent = agent(DEADLINE)
            .post(self.worker.address("/webhook/github"))
            .header("content-type", "application/json")
            .header("x-github-event", "ping")
            .header("x-github-delivery", "doctor")
            .send("{}");
        match sent.map(|answer| answer.status().as_u16()) {
            Ok(401) => works(about, "refuses what is not signed".into()),
            Ok(503) => broken(about, "closed: SENTINEL_WEBHOOK_SECRET is not set".into()),
            Ok(status) => broken(
                about,
                format!("took an unsigned delivery with {status}: this is not Sentinel's worker"),
            ),
            Err(error) => broken(about, error.to_string()),
        }
    }

    fn database(&self) -> CheckResult {
        match self.get("/api/dashboard", true) {
            Ok((200, overview)) => works("database", format!("{} verdicts", overview["inference_count"])),
            Ok((503, _)) => broken(
                "database",
                "not reachable from the worker: check TURSO_DATABASE_URL and TURSO_AUTH_TOKEN".into(),
            ),
            Ok((status, problem)) => {
                broken("database", format!("{status}: {}", problem["detail"].as_str().unwrap_or_default()))
            }
            Err(error) => broken("database", error.to_string()),
        }
    }

    fn deliveries(&self) -> CheckResult {
        let about = "deliveries";
        match (
            self.get("/api/deliveries?limit=1", true),
            self.get("/api/deliveries?status=failed&limit=1000", true),
        ) {
            (Ok((200, latest)), Ok((200, failed))) => {
                match (latest[0]["received_at"].as_str(), failed.as_array().map_or(0, Vec::len)) {
                    (None, _) => {
                        note(about, "none yet: send a ping from the App's settings, Advanced".into())
                    }
                    (Some(at), 0) => works(about, format!("the last came at {at}")),
                    (Some(at), failed) => note(
                        about,
                        format!(
                            "the last came at {at}; {failed} were given up: redeliver them on the dashboard"
                        ),
                    ),
                }
            }
            _ => broken(about, "the ledger can't be read".into()),
        }
    }

    fn jobs(&self) -> CheckResult {
        let about = "reviews";
        let count = |status: &str| match self.get(&format!("/api/jobs?status={status}&limit=200"), true) {
            Ok((200, jobs)) => jobs.as_array().map(Vec::len),
            _ => None,
        };
        match (count("dead"), count("queued")) {
            (Some(0), Some(waiting)) if waiting < 50 => works(about, format!("{waiting} waiting, none dead")),
            (Some(0), Some(waiting)) => {
                broken(about, format!("{waiting} waiting: is a node running with this database?"))
            }
            (Some(dead), _) => note(
                about,
                format!(
                    "{dead} dead: `sentinel jobs dead` says why, `sentinel jobs retry --dead` tries again"
                ),
            ),
            _ => broken(about, "the queue can't be read".into()),
        }
    }

    fn playground(&self) -> CheckResult {
        match agent(DEADLINE)
            .get(self.worker.address("/classifier/browser.js"))
            .call()
            .map(|answer| answer.status().as_u16())
        {
            Ok(200) => works("playground", "the classifier can be fetched".into()),
            _ => note(
                "playground",
                "its files are missing: run `cargo xtask bundle` before `wrangler deploy`".into(),
            ),
        }
    }

    fn get(&self, path: &str, with_key: bool) -> Result<(u16, Value)> {
        let mut request = agent(DEADLINE).get(self.worker.address(path));
        if with_key {
            request = request.header("x-api-key", self.worker.api_key.expose());
        }
        let mut answer = request.call()?;
        let status = answer.status().as_u16();
        Ok((
            status,
            answer.body_mut().with_config().limit(ANSWER_LIMIT_BYTES).read_json().unwrap_or_default(),
        ))
    }
}

/// The settings that the worker can't follow. It tells of each what is wrong and what it does instead.
fn settings(health: &Value) -> Vec<CheckResult> {
    let listed = health["wrong"].as_array().into_iter().flatten();
    let told = listed.map(|wrong| {
        let text = |field: &str| wrong[field].as_str().unwrap_or("unknown");
        let (setting, problem) = (text("setting"), text("problem"));
        broken(
            "settings",
            format!("{setting}: {problem}. Correct it in [vars] of wrangler.toml (a secret with `npx wrangler secret put {setting}`) and deploy again"),
        )
    });
    told.collect()
}

fn node(url: &str) -> CheckResult {
    let about = "node";
    let url = url.trim_end_matches('/');
    match agent(DEADLINE).get(format!("{url}/readyz")).call() {
        Ok(mut answer) => {
            let ready = answer.status().as_u16() == 200;
            let said = answer.body_mut().with_config().limit(4096).read_to_string().unwrap_or_default();
            if ready {
                works(about, "ready".into())
            } else {
                broken(about, format!("not ready: {}", said.trim()))
            }
        }
        Err(error) => broken(about, format!("{url} does not answer ({error}): is `sentinel serve` running?")),
    }
}

fn works(about: &'static str, says: String) -> CheckResult {
    CheckResult { about, state: CheckState::Works, says }
}

fn note(about: &'static str, says: String) -> CheckResult {
    CheckResult { about, state: CheckState::Note, says }
}

fn broken(about: &'static str, says: String) -> CheckResult {
    CheckResult { about, state: CheckState::Broken, says }
}

impl CheckResult {
    fn json(&self) -> Value {
        let state = match self.state {
            CheckState::Works => "works",
            CheckState::Note => "note",
            CheckState::Broken => "broken",
        };
        json!({ "about": self.about, "state": state, "says": self.says })
    }

    fn print(&self) {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let (mark, colour) = match self.state {
            CheckState::Works => ("ok", "32"),
            CheckState::Note => ("note", "33"),
            CheckState::Broken => ("FAIL", "31"),
        };
        let mark = if coloured { format!("\x1b[{colour}m{mark:<5}\x1b[0m") } else { format!("{mark:<5}") };
        // It quotes what the worker and the node said.
        stdout!("{mark} {:<11} {}", self.about, printed(&self.says));
    }
}
