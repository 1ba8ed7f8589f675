//! `sentinel doctor`: checks every part of a deployment and says how to fix what does not work.

use crate::operate::worker_api::{Worker, agent};
use anyhow::Result;
use clap::Args;
use sentinel_shared::api::access::SessionHolder;
use sentinel_shared::api::dashboard::Dashboard;
use sentinel_shared::api::health::{GithubCheck, GithubState, Health, HealthStatus, WrongSetting};
use sentinel_shared::api::problem::Problem;
use sentinel_shared::evidence::GithubStanding;
use sentinel_shared::store::deliveries::DeliveryRow;
use sentinel_shared::store::inferences::EvidenceKind;
use sentinel_shared::store::jobs::JobStatus;
use sentinel_shared::store::queue::JobRow;
use sentinel_shared::text::{printed, printed_json};
use serde::de::DeserializeOwned;
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

/// Why a document was not had.
enum NoAnswer {
    /// The worker answered with this status and another document. The text is that of its problem document.
    Refusal(u16, String),
    /// Nothing was answered.
    Silence(String),
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
        let health = self.ask::<Health>("/health", false);
        let mut findings = vec![self.health(&health)];
        if let Ok(health) = &health {
            findings.extend(health.wrong.iter().map(setting));
        }
        if !matches!(health, Err(NoAnswer::Silence(_))) {
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

    fn health(&self, health: &Result<Health, NoAnswer>) -> CheckResult {
        let about = "worker";
        let health = match health {
            Ok(health) => health,
            Err(NoAnswer::Silence(_)) => {
                return broken(
                    about,
                    format!("{} does not answer: is it deployed, and is this its address?", self.worker.url),
                );
            }
            Err(NoAnswer::Refusal(status, _)) => {
                return broken(about, format!("it answers {status}: this is not a worker of this version"));
            }
        };
        let (missing, unlimited) = (health.missing.join(", "), health.unlimited.join(", "));
        let version = health.model_version.as_deref().unwrap_or("no model");
        match &health.model_refused {
            _ if health.status == HealthStatus::Unhealthy => {
                broken(about, "unhealthy: the built-in model does not load; deploy again".into())
            }
            _ if !missing.is_empty() => broken(
                about,
                format!("{missing} not set: `npx wrangler secret put NAME`, or [vars] in wrangler.toml"),
            ),
            Some(refused) => broken(
                about,
                format!(
                    "the promoted model was refused ({:?}); {version} serves: `sentinel model rollback`",
                    refused.reason
                ),
            ),
            None if !unlimited.is_empty() => note(
                about,
                format!("{version} serves; no rate limits ({unlimited}): bind them in wrangler.toml"),
            ),
            None if health.evidence != EvidenceKind::Log => note(
                about,
                format!(
                    "{version} serves, and reads no logs: set GITHUB_TOKEN, or verdicts are made from the delivery alone"
                ),
            ),
            None => self.logs(version, &health.github),
        }
    }

    /// The worker itself tries to read a log, with its token and on the last failed run.
    fn logs(&self, version: &str, known: &GithubState) -> CheckResult {
        let about = "worker";
        // Without a key that works, what the worker met last.
        let checked = self.ask("/api/github", true).unwrap_or_else(|_| GithubCheck {
            state: known.state,
            since: known.since.clone(),
            check: known.state,
            repository: None,
        });
        let since = checked.since.as_deref().unwrap_or("an unknown time");
        let repository = checked.repository.as_deref().unwrap_or("the last failed run's repository");
        match checked.check {
            GithubStanding::Works => works(about, format!("{version} serves and reads logs")),
            GithubStanding::Untried => works(
                about,
                format!(
                    "{version} serves; GitHub accepts its token, and no failed run is there to read a log of"
                ),
            ),
            GithubStanding::TokenRefused => broken(
                about,
                format!(
                    "GitHub refuses GITHUB_TOKEN since {since}: make one that may read Actions, then `npx wrangler secret put GITHUB_TOKEN`; verdicts without a log are made again by themselves"
                ),
            ),
            GithubStanding::Refused => broken(
                about,
                format!("GITHUB_TOKEN may not read the logs of {repository}: give it `Actions: read`"),
            ),
            GithubStanding::Absent => note(
                about,
                format!(
                    "{version} serves; its token does not see the last failed run of {repository}: is that repository among the token's?"
                ),
            ),
            GithubStanding::Limited => note(
                about,
                format!(
                    "{version} serves; GitHub limits its calls since {since}: logs are read when that is over"
                ),
            ),
            GithubStanding::Away => note(
                about,
                format!("{version} serves; GitHub is not well since {since}: logs are read when it is"),
            ),
            GithubStanding::NoToken | GithubStanding::Unknown => {
                note(about, format!("{version} serves; whether it reads logs can't be told"))
            }
        }
    }

    fn key(&self) -> CheckResult {
        let about = "API key";
        match self.ask("/api/session", true) {
            Ok(SessionHolder { name: Some(name), rights }) => {
                let role = rights.map_or("no role", |rights| rights.role.label());
                works(about, format!("{name} ({role})"))
            }
            Ok(SessionHolder { name: None, .. }) => broken(
                about,
                "the worker does not know this key: is SENTINEL_API_KEY the one that was put, and not revoked?"
                    .into(),
            ),
            Err(NoAnswer::Refusal(status, _)) => broken(about, format!("the worker answered {status}")),
            Err(NoAnswer::Silence(error)) => broken(about, error),
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
        let about = "database";
        match self.ask::<Dashboard>("/api/dashboard", true) {
            Ok(overview) => works(about, format!("{} verdicts", overview.inference_count)),
            Err(NoAnswer::Refusal(503, _)) => broken(
                about,
                "not reachable from the worker: check TURSO_DATABASE_URL and TURSO_AUTH_TOKEN".into(),
            ),
            Err(NoAnswer::Refusal(status, detail)) => broken(about, format!("{status}: {detail}")),
            Err(NoAnswer::Silence(error)) => broken(about, error),
        }
    }

    fn deliveries(&self) -> CheckResult {
        let about = "deliveries";
        let list = |query: &str| self.ask::<Vec<DeliveryRow>>(&format!("/api/deliveries?{query}"), true);
        match (list("limit=1").as_deref(), list("status=failed&limit=1000")) {
            (Ok([]), Ok(_)) => note(about, "none yet: send a ping from the App's settings, Advanced".into()),
            (Ok([latest, ..]), Ok(failed)) if failed.is_empty() => {
                works(about, format!("the last came at {}", latest.received_at))
            }
            (Ok([latest, ..]), Ok(failed)) => note(
                about,
                format!(
                    "the last came at {}; {} were given up: redeliver them on the dashboard",
                    latest.received_at,
                    failed.len()
                ),
            ),
            _ => broken(about, "the ledger can't be read".into()),
        }
    }

    fn jobs(&self) -> CheckResult {
        let about = "reviews";
        let count = |status: JobStatus| {
            let path = format!("/api/jobs?status={}&limit=200", status.label());
            self.ask::<Vec<JobRow>>(&path, true).map(|jobs| jobs.len())
        };
        match (count(JobStatus::Dead), count(JobStatus::Queued)) {
            (Ok(0), Ok(waiting)) if waiting < 50 => works(about, format!("{waiting} waiting, none dead")),
            (Ok(0), Ok(waiting)) => {
                broken(about, format!("{waiting} waiting: is a node running with this database?"))
            }
            (Ok(dead), _) => note(
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

    /// Asks the worker for a document, whatever status it has, unless it is a problem document.
    fn ask<T: DeserializeOwned>(&self, path: &str, with_key: bool) -> Result<T, NoAnswer> {
        let mut request = agent(DEADLINE).get(self.worker.address(path));
        if with_key {
            request = request.header("x-api-key", self.worker.api_key.expose());
        }
        let mut answer = request.call().map_err(|error| NoAnswer::Silence(error.to_string()))?;
        let status = answer.status().as_u16();
        let body =
            answer.body_mut().with_config().limit(ANSWER_LIMIT_BYTES).read_to_vec().unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(NoAnswer::Refusal(status, problem.detail)),
            Err(_) => serde_json::from_slice(&body).map_err(|_| NoAnswer::Refusal(status, String::new())),
        }
    }
}

/// A setting that the worker can't follow. It says what is wrong and what it does instead.
fn setting(WrongSetting { setting, problem }: &WrongSetting) -> CheckResult {
    broken(
        "settings",
        format!(
            "{setting}: {problem}. Correct it in [vars] of wrangler.toml (a secret with `npx wrangler secret put {setting}`) and deploy again"
        ),
    )
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
