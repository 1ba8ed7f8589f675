//! Sentinel's tools for assistants, over the Model Context Protocol (<https://modelcontextprotocol.io>).
//!
//! This file defines what each tool takes and answers. `analyze_log` and `review_diff` run the models in this process.
//! The others ask a worker, if one is configured. `sentinel mcp` chooses the transport.

use crate::operate::failure_text;
use crate::operate::worker_api::{Worker, url_encoded};
use crate::review::backend::ort::BackendOptions;
use crate::review::engine::Engine;
use anyhow::{Context, Result, ensure};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use sentinel_shared::api::failures::{CauseDetail, Causes, FailureDetail, Tests};
use sentinel_shared::api::feedback::FeedbackAnswer;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::diff;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::features::Telemetry;
use sentinel_shared::feedback::{FeedbackRequest, FeedbackStats};
use sentinel_shared::review::plan::{ChangedFile, Plan};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::store::history::causes::CAUSES_LIMIT;
use sentinel_shared::store::inferences::Inference;
use sentinel_shared::text::{lines, make_visible};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The largest log or diff that is read.
pub const INPUT_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// The time that one review may take.
const REVIEW_TIME: Duration = Duration::from_secs(120);
/// The number of verdicts that are listed by default.
const FAILURES: u32 = 20;

/// The number of flaky tests that are listed by default.
const FLAKY_TESTS: u32 = 20;

/// The tools of one process; each session has a handle.
#[derive(Clone)]
pub struct Tools(Arc<Shared>);

struct Shared {
    model: ModelBundle,
    worker: Option<Worker>,
    backend: BackendOptions,
    review_model: Option<PathBuf>,
    engine: OnceCell<Engine>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct AnalyzeLog {
    /// The log of a failed job, from GitHub Actions or any build. Give either this or `features`.
    log: Option<String>,
    /// The name of the failed step, if you know it.
    step: Option<String>,
    /// The name of the failed job, if you know it.
    job: Option<String>,
    /// A telemetry record: `error_message`, and where known build_duration_sec, test_duration_sec,
    /// deploy_duration_sec, cpu_usage_pct, memory_usage_mb, retry_count, repository, author, failure_stage, severity,
    /// ci_tool, language, os, cloud_provider, is_flaky_test, rollback_triggered, incident_created.
    features: Option<Map<String, Json>>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct GroundTruth {
    /// The inference: its `id` in `recent_failures`.
    log_id: Json,
    /// The model's verdict, to check that the id is right. It must be the stored verdict.
    original_pred: Option<String>,
    /// The real cause: one of the ten classes by its full name, for example "Network Error".
    corrected_label: String,
    /// The name of the person who corrects the verdict.
    #[expect(dead_code, reason = "the author that counts is the holder of the worker's key")]
    author_id: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ReviewDiff {
    /// A unified diff, as `git diff` prints it.
    diff: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct RecentFailures {
    /// The number of verdicts, from 1 to 200; 20 by default.
    limit: Option<u32>,
    /// Only verdicts of this repository, as `owner/name`.
    repository: Option<String>,
    /// Only verdicts of this class.
    class: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ExplainFailure {
    /// The cause: its `id` in the `causes` of `recent_failures`. Give either this or `failure`.
    cause: Option<i64>,
    /// One failure: its `id` in the `failures` of `recent_failures`.
    failure: Option<i64>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct FlakyTests {
    /// Only tests of this repository, as `owner/name`.
    repository: Option<String>,
    /// The number of tests, from 1 to 100; 20 by default.
    limit: Option<u32>,
}

#[tool_router]
impl Tools {
    /// Tools over the failure model and, if there is one, a worker. The review model is loaded when it is first used.
    #[must_use]
    pub fn new(
        model: ModelBundle,
        worker: Option<Worker>,
        backend: BackendOptions,
        review_model: Option<PathBuf>,
    ) -> Self {
        Self(Arc::new(Shared { model, worker, backend, review_model, engine: OnceCell::new() }))
    }

    /// Say why a CI job failed: one of ten causes or Unknown, with the confidence, the terms that decided and the log
    /// line.
    #[tool(annotations(read_only_hint = true, open_world_hint = false))]
    async fn analyze_log(&self, Parameters(asked): Parameters<AnalyzeLog>) -> CallToolResult {
        let tools = self.clone();
        answer(tokio::task::spawn_blocking(move || tools.analyze(&asked)).await.context("analysing"))
    }

    /// Record the real cause of a failure, so that the model can learn from it. It is stored once, with its author.
    #[tool(annotations(read_only_hint = false, idempotent_hint = true))]
    async fn submit_ground_truth(&self, Parameters(said): Parameters<GroundTruth>) -> CallToolResult {
        let id = said.log_id.as_i64().or_else(|| said.log_id.as_str()?.trim().parse().ok());
        let Some(id) = id else { return refused("log_id is not the number of an inference") };
        let (inference_id, corrected_class) = (Some(id), Some(said.corrected_label));
        let correction = FeedbackRequest { inference_id, corrected_class };
        self.ask(move |worker| {
            if let Some(original) = &said.original_pred {
                let stored: Inference = worker.get(&format!("/api/inference?id={id}"))?;
                let verdict = stored.prediction;
                ensure!(verdict == *original, "the verdict of inference {id} is {verdict}, not {original}");
            }
            let told: FeedbackAnswer = worker.post("/api/feedback", &correction)?;
            let stats: FeedbackStats = worker.get("/api/feedback/stats")?;
            let message = format!("inference {id} is on record as {:?}", told.feedback.corrected_label);
            Ok(json!({
                "status": told.status, "feedback": told.feedback, "record_count": stats.total_records,
                "message": message,
            }))
        })
        .await
    }

    /// Count the corrections: records, authors, how often they differ from the model, and which classes they name.
    #[tool(annotations(read_only_hint = true))]
    async fn get_feedback_stats(&self) -> CallToolResult {
        self.ask(|worker| Ok(json!(worker.get::<FeedbackStats>("/api/feedback/stats")?))).await
    }

    /// List what failed of late: `causes` has what failures have in common, how often it failed and whether it still does,
    /// the last seen first; `failures` has the latest verdicts on failed runs, newest first.
    #[tool(annotations(read_only_hint = true))]
    async fn recent_failures(&self, Parameters(asked): Parameters<RecentFailures>) -> CallToolResult {
        let limit = asked.limit.unwrap_or(FAILURES);
        if !(1..=200).contains(&limit) {
            return refused("limit must be from 1 to 200");
        }
        self.ask(move |worker| {
            let wanted = [("repository", &asked.repository), ("class", &asked.class)];
            let filters = filters(&wanted);
            let failures: Vec<Inference> = worker.get(&format!("/api/history?limit={limit}{filters}"))?;
            let limit = limit.min(CAUSES_LIMIT);
            // A worker of the release before knows no causes, and its verdicts are worth telling.
            let causes = worker.get::<Causes>(&format!("/api/causes?limit={limit}{filters}"));
            Ok(json!({ "failures": failures, "causes": causes.map(|page| page.causes).unwrap_or_default() }))
        })
        .await
    }

    /// Explain a failure: what broke and who should act, whether it is new, seen before, flaky or already failing on the
    /// default branch, the failing tests, the places in the code, and what to do.
    #[tool(annotations(read_only_hint = true))]
    async fn explain_failure(&self, Parameters(asked): Parameters<ExplainFailure>) -> CallToolResult {
        if asked.cause.is_some() == asked.failure.is_some() {
            return refused("give either cause or failure");
        }
        self.ask(move |worker| {
            let (id, about) = match (asked.cause, asked.failure) {
                (None, Some(id)) => {
                    let told: FailureDetail = worker.get(&format!("/api/failure?id={id}"))?;
                    let cause = told.failure.cause_id;
                    (cause.with_context(|| format!("failure {id} has no cause"))?, Some(told.about))
                }
                (cause, _) => (cause.context("give either cause or failure")?, None),
            };
            let mut detail: CauseDetail = worker.get(&format!("/api/cause?id={id}"))?;
            // What is said of this failure, and not of the last with its cause.
            if let Some(about) = about {
                detail.about = about;
            }
            Ok(json!({ "cause": id, "explanation": failure_text::cause(&detail) }))
        })
        .await
    }

    /// List flaky tests: those that passed when they were tried again on the same commit, with how often. Where a team sends
    /// reports of tests (`from` is `reports`), `rate` is the share of runs in which a test failed, with its 95 % interval.
    #[tool(annotations(read_only_hint = true))]
    async fn flaky_tests(&self, Parameters(asked): Parameters<FlakyTests>) -> CallToolResult {
        let limit = asked.limit.unwrap_or(FLAKY_TESTS);
        if !(1..=100).contains(&limit) {
            return refused("limit must be from 1 to 100");
        }
        self.ask(move |worker| {
            let filters = filters(&[("repository", &asked.repository)]);
            let page: Tests = worker.get(&format!("/api/tests?flaky=true&limit={limit}{filters}"))?;
            Ok(json!({ "tests": page.tests }))
        })
        .await
    }

    /// Review a diff: find the added lines that need a second look, with severity and category.
    #[tool(annotations(read_only_hint = true, open_world_hint = false))]
    async fn review_diff(&self, Parameters(asked): Parameters<ReviewDiff>) -> CallToolResult {
        answer(Ok(self.review(&asked.diff).await))
    }
}

#[tool_handler(
    name = "Sentinel",
    instructions = "Why did this CI run fail (analyze_log, recent_failures, explain_failure), which tests are flaky \
                    (flaky_tests), and what in this diff deserves a second look (review_diff). People's corrections go to \
                    submit_ground_truth."
)]
impl ServerHandler for Tools {}

impl Tools {
    fn analyze(&self, asked: &AnalyzeLog) -> Result<Json> {
        let model = &self.0.model;
        let excerpt = |text: &str| {
            ensure!(
                text.len() <= INPUT_LIMIT_BYTES,
                "a log of more than {INPUT_LIMIT_BYTES} bytes is not read"
            );
            let excerpt = Excerpt::of(text.as_bytes());
            ensure!(!excerpt.binary, "this is not text");
            Ok(excerpt)
        };
        let verdict = match (&asked.log, &asked.features) {
            (Some(log), None) => {
                model.classify_log(&excerpt(log)?, asked.step.as_deref(), asked.job.as_deref())?
            }
            (None, Some(features)) => {
                let message = features.get("error_message").and_then(Json::as_str);
                let excerpt = excerpt(message.context("features has no error_message")?)?;
                let mut features = features.clone();
                features.remove("error_message");
                let record: Telemetry = serde_json::from_value(Json::Object(features)).context("features")?;
                model.classify_message(&excerpt, record)?
            }
            _ => anyhow::bail!("give either log or features"),
        };
        let mut told = model.public_json(&verdict);
        // Assistants know the deciding terms by this name.
        told["top_contributing_features"] = told["terms"].take();
        Ok(told)
    }

    async fn review(&self, text: &str) -> Result<Json> {
        ensure!(text.len() <= INPUT_LIMIT_BYTES, "a diff of more than {INPUT_LIMIT_BYTES} bytes is not read");
        let files = diff::parse(text)?;
        ensure!(!files.is_empty(), "this is not a unified diff, as `git diff` prints one");
        let policy = Policy::default();
        let plan = Plan::new(files.iter().map(ChangedFile::of_diff).collect(), 0, &policy);
        let shared = &self.0;
        let engine = shared
            .engine
            .get_or_try_init(async || Engine::alone(shared.review_model.as_deref(), &shared.backend))
            .await?;
        let result =
            engine.review("", &plan, &policy, &BTreeSet::new(), Instant::now() + REVIEW_TIME).await?;
        Ok(json!(result))
    }

    /// Asks the worker on a thread that may block.
    async fn ask(&self, what: impl FnOnce(&Worker) -> Result<Json> + Send + 'static) -> CallToolResult {
        let tools = self.clone();
        let asked = move || {
            let worker = tools.0.worker.as_ref();
            what(worker.context("no worker is configured: set SENTINEL_URL and SENTINEL_API_KEY")?)
        };
        answer(tokio::task::spawn_blocking(asked).await.context("asking the worker"))
    }
}

/// The filters that are asked for, to be added to a query.
fn filters(wanted: &[(&str, &Option<String>)]) -> String {
    let given = wanted.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    given.map(|(name, value)| format!("&{name}={}", url_encoded(value))).collect()
}

/// Turns an error into a result that the assistant can read, so that it can correct its next call.
fn answer(outcome: Result<Result<Json>>) -> CallToolResult {
    match outcome.and_then(|outcome| outcome) {
        Ok(mut value) => {
            make_visible(&mut value);
            CallToolResult::structured(value)
        }
        Err(error) => refused(&format!("{error:#}")),
    }
}

fn refused(details: &str) -> CallToolResult {
    CallToolResult::structured_error(
        json!({ "error": "the tool could not do this", "details": lines(details) }),
    )
}
