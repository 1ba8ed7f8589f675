//! The JSON API: what the dashboard reads, and verdicts on demand. Every call here has passed the API key.

use crate::app::{App, now};
use crate::{guard, models, respond, turso};
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::dashboard::{Dashboard, WINDOW};
use sentinel_shared::drift::Report;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::features::Telemetry;
use sentinel_shared::feedback::Feedback;
use sentinel_shared::store::{self, HISTORY_LIMIT, Totals};
use sentinel_shared::webhook::BODY_LIMIT_BYTES;
use sentinel_shared::{Error, Result};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use worker::{Request, Response};

const HISTORY_DEFAULT: u32 = 100;
/// The most of a small JSON body that is read.
const FORM_LIMIT_BYTES: usize = 16 * 1024;

/// `GET /api/dashboard`
pub(crate) async fn dashboard(app: &App) -> Result<Response> {
    let overview = overview(app).await?;
    let manifest = &overview.model.manifest;
    respond::json(200, &Dashboard::new(&overview.totals, overview.report, manifest, now()))
}

/// `GET /api/drift`, and `/api/psi` as the predecessor called it.
pub(crate) async fn drift(app: &App) -> Result<Response> {
    respond::json(200, &overview(app).await?.report)
}

/// `GET /api/history?limit=1..1000`
pub(crate) async fn history(request: &Request, app: &App) -> Result<Response> {
    let answers = turso::read(app, &[store::history(limit(request)?)]).await?;
    respond::json(200, &store::history_rows(answers.first().ok_or(Error::StoreShape("history"))?)?)
}

fn limit(request: &Request) -> Result<u32> {
    let Some(text) = query(request, "limit") else { return Ok(HISTORY_DEFAULT) };
    let expected = "a whole number from 1 to 1000";
    let number = text.parse().ok().filter(|limit| (1..=HISTORY_LIMIT).contains(limit));
    number.ok_or(Error::ParameterInvalid { name: "limit", expected })
}

/// `POST /api/feedback`: 201 for something new, 200 for what its author said before.
pub(crate) async fn feedback(mut request: Request, app: &App) -> Result<Response> {
    let feedback = Feedback::parse(&guard::body(&mut request, FORM_LIMIT_BYTES).await?)?;
    let answers = turso::commit(app, &store::feedback::record(&feedback, now())).await?;
    let (record, is_new) = store::feedback::recorded(&answers)?;
    let (status, word) = if is_new { (201, "recorded") } else { (200, "unchanged") };
    respond::json(status, &json!({ "status": word, "feedback": record }))
}

/// `GET /api/feedback?limit=1..1000`: who said what when, newest first.
pub(crate) async fn feedback_audit(request: &Request, app: &App) -> Result<Response> {
    let answers = turso::read(app, &[store::feedback::feedback(limit(request)?)]).await?;
    let rows = answers.first().ok_or(Error::StoreShape("feedback"))?;
    respond::json(200, &store::feedback::feedback_rows(rows)?)
}

/// `GET /api/telemetry?after=ID&since=UNIX&corrected=true`: what verdicts were made from, a page at a time.
pub(crate) async fn telemetry(request: &Request, app: &App) -> Result<Response> {
    let number = |name: &'static str| match query(request, name) {
        None => Ok(0),
        Some(text) => text.parse().map_err(|_| Error::ParameterInvalid { name, expected: "a whole number" }),
    };
    let corrected = query(request, "corrected").is_some_and(|value| value == "true");
    let page = store::telemetry::page(number("after")?, number("since")?, corrected);
    let answers = turso::read(app, &[page]).await?;
    let rows = answers.first().ok_or(Error::StoreShape("telemetry"))?;
    respond::json(200, &store::telemetry::page_of(rows)?)
}

/// `GET /api/feedback/stats`
pub(crate) async fn feedback_stats(app: &App) -> Result<Response> {
    let answers = turso::read(app, &store::feedback::stats()).await?;
    respond::json(200, &store::feedback::stats_of(&answers)?)
}

/// `GET /api/inference?repository=owner/name&subject=run:1:1`: where a 202 points to; or `?id=7`.
pub(crate) async fn inference(request: &Request, app: &App) -> Result<Response> {
    let needed = |name: &'static str| {
        query(request, name)
            .ok_or(Error::ParameterInvalid { name, expected: "given; see the Location of a 202" })
    };
    let statement = match query(request, "id") {
        Some(id) => store::inference_by_id(
            id.parse().map_err(|_| Error::ParameterInvalid { name: "id", expected: "a whole number" })?,
        ),
        None => store::inference_of(&needed("repository")?, &needed("subject")?),
    };
    let answers = turso::read(app, &[statement]).await?;
    respond::json(200, &store::first_inference(&answers)?)
}

/// What `/api/classify` takes as JSON: a log, the predecessor's record, or telemetry that is already masked.
#[derive(Deserialize)]
struct ClassifyBody {
    log: Option<String>,
    step: Option<String>,
    job: Option<String>,
    error_message: Option<String>,
    telemetry: Option<Telemetry>,
    #[serde(flatten)]
    record: Telemetry,
}

/// `POST /api/classify`: a log (`text/plain`, or JSON `log`) or a record (JSON `error_message` and its fields).
pub(crate) async fn classify(mut request: Request, app: &App) -> Result<Response> {
    let content_type = request.headers().get("content-type").ok().flatten().unwrap_or_default();
    let body = guard::body(&mut request, BODY_LIMIT_BYTES).await?;
    let model = models::current(app).await?;
    let verdict = if content_type.starts_with("text/plain") {
        model.classify_log(&text_excerpt(&body)?, None, None)?
    } else if content_type.starts_with("application/json") {
        let body: ClassifyBody = serde_json::from_slice(&body)
            .map_err(|error| Error::JsonInvalid(format!("line {}", error.line())))?;
        match body {
            ClassifyBody { telemetry: Some(telemetry), .. } => {
                model.classify(telemetry, &Excerpt::default())?
            }
            ClassifyBody { log: Some(log), step, job, .. } => {
                model.classify_log(&text_excerpt(log.as_bytes())?, step.as_deref(), job.as_deref())?
            }
            ClassifyBody { error_message: Some(message), record, .. } => {
                model.classify_message(&text_excerpt(message.as_bytes())?, record)?
            }
            _ => return Err(Error::FieldMissing("log or error_message")),
        }
    } else {
        return Err(Error::ContentTypeUnsupported);
    };
    let mut told = model.told(&verdict);
    told["probabilities"] = json!(verdict.prediction.probabilities);
    respond::json(200, &told)
}

fn text_excerpt(log: &[u8]) -> Result<Excerpt> {
    let excerpt = Excerpt::of(log);
    if excerpt.binary { Err(Error::ContentTypeUnsupported) } else { Ok(excerpt) }
}

/// What the badge, the heatmap and the registry are made from, of one moment.
pub(crate) async fn overview(app: &App) -> Result<Overview> {
    let model = models::current(app).await?;
    let version = &model.manifest.model_version;
    let answers = turso::read(app, &[store::totals(WINDOW), store::drift_window(version)]).await?;
    let [totals, window] = answers.as_slice() else { return Err(Error::StoreShape("overview")) };
    let report = Report::of(&model.baseline, &store::window_of(window)?);
    Ok(Overview { totals: store::totals_of(totals)?, report, model })
}

pub(crate) struct Overview {
    pub(crate) totals: Totals,
    pub(crate) report: Report,
    pub(crate) model: Arc<ModelBundle>,
}

pub(crate) fn query(request: &Request, name: &str) -> Option<String> {
    let url = request.url().ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
