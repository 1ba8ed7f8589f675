//! The JSON API: the data of the dashboard, and verdicts on demand. Every call here has passed the check of its key.

use crate::app::App;
use crate::clock::now;
use crate::{body, parameters, respond};
use sentinel_shared::access::{Principal, Scope};
use sentinel_shared::api::dashboard::{Dashboard, WINDOW};
use sentinel_shared::api::feedback::{FeedbackAnswer, FeedbackStatus};
use sentinel_shared::api::verdict::PublicVerdict;
use sentinel_shared::api::verdicts::{ClassifyRequest, Timeline};
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::drift::{Heatmap, Report};
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::feedback::Feedback;
use sentinel_shared::github::rfc3339;
use sentinel_shared::store::inferences::{self, Filter, Totals};
use sentinel_shared::store::{self, DAY_SECONDS};
use sentinel_shared::webhook::BODY_LIMIT_BYTES;
use sentinel_shared::{Error, Result};
use std::sync::Arc;
use worker::{Request, Response};

/// The number of columns of the drift heatmap.
const HEATMAP_WINDOWS: u32 = 12;
const TIMELINE_DAYS: i64 = 14;

/// Answers `GET /api/dashboard` with the overview.
pub(crate) async fn dashboard(app: &App, who: &Principal) -> Result<Response> {
    let overview = overview(app, who.scope).await?;
    let manifest = &overview.model.manifest;
    respond::json(200, &Dashboard::new(&overview.totals, overview.report, manifest, now()))
}

/// Answers `GET /api/drift`, and `/api/psi`, the name that older clients know.
pub(crate) async fn drift(app: &App, who: &Principal) -> Result<Response> {
    respond::json(200, &overview(app, who.scope).await?.report)
}

/// `GET /api/drift/windows`: the last windows of inferences, each against the training records, with histograms.
pub(crate) async fn drift_windows(app: &App, who: &Principal) -> Result<Response> {
    let model = app.model().await?;
    let version = &model.manifest.model_version;
    let both = store::drift::windows(who.scope, version, HEATMAP_WINDOWS)
        .and(store::drift::window_times(who.scope, HEATMAP_WINDOWS));
    let (windows, times) = app.database.ask(both).await?;
    respond::json(200, &Heatmap::new(&model.baseline, &windows, &times, version))
}

/// `GET /api/timeline?days=1..90`: verdicts of each class, day by day.
pub(crate) async fn timeline(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let expected = "a whole number from 1 to 90";
    let days = parameters::number(request, "days")?.unwrap_or(TIMELINE_DAYS);
    if !(1..=90).contains(&days) {
        return Err(Error::ParameterInvalid { name: "days", expected });
    }
    // Whole days, today's among them.
    let since = (now() / DAY_SECONDS - (days - 1)) * DAY_SECONDS;
    let counts = app.database.ask(inferences::classes_by_day(who.scope, since)).await?;
    respond::json(200, &Timeline { since: rfc3339(since), days, counts })
}

/// `GET /api/history?limit=1..1000`, and of these only `repository=`, `class=`, `confidence_min=0..1`, `before=ID`.
pub(crate) async fn history(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let (repository, class) = (parameters::query(request, "repository"), parameters::query(request, "class"));
    let confidence = parameters::query(request, "confidence_min").map_or(Some(0.0), |text| text.parse().ok());
    let filter = Filter {
        repository: repository.as_deref(),
        prediction: class.as_deref(),
        confidence_min: confidence
            .filter(|least| (0.0..=1.0).contains(least))
            .ok_or(Error::ParameterInvalid { name: "confidence_min", expected: "a number from 0 to 1" })?,
        before: parameters::number(request, "before")?,
    };
    let history = inferences::history(who.scope, filter, parameters::limit(request)?);
    respond::json(200, &app.database.ask(history).await?)
}

/// `POST /api/feedback`: 201 for something new, 200 for what its author said before.
pub(crate) async fn feedback(mut request: Request, app: &App, who: &Principal) -> Result<Response> {
    let feedback =
        Feedback::parse(&body::read(&mut request, parameters::FORM_LIMIT_BYTES).await?, &who.name)?;
    let (feedback, is_new) = app.database.ask(store::feedback::record(who.scope, &feedback, now())).await?;
    let (http, status) =
        if is_new { (201, FeedbackStatus::Recorded) } else { (200, FeedbackStatus::Unchanged) };
    respond::json(http, &FeedbackAnswer { status, feedback })
}

/// `GET /api/feedback?limit=1..1000`: who said what when, newest first.
pub(crate) async fn feedback_audit(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let audit = store::feedback::feedback(who.scope, parameters::limit(request)?);
    respond::json(200, &app.database.ask(audit).await?)
}

/// `GET /api/telemetry?after=ID&since=UNIX&corrected=true`: what verdicts were made from, a page at a time.
pub(crate) async fn telemetry(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let (after, since) = (parameters::number(request, "after")?, parameters::number(request, "since")?);
    let corrected = parameters::query(request, "corrected").is_some_and(|value| value == "true");
    let page = store::telemetry::page(who.scope, after.unwrap_or(0), since.unwrap_or(0), corrected);
    respond::json(200, &app.database.ask(page).await?)
}

/// Answers `GET /api/feedback/stats` with the totals of corrections.
pub(crate) async fn feedback_stats(app: &App, who: &Principal) -> Result<Response> {
    respond::json(200, &app.database.ask(store::feedback::stats(who.scope)).await?)
}

/// `GET /api/inference?repository=owner/name&subject=run:1:1`: where a 202 points to; or `?id=7`.
pub(crate) async fn inference(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let inference = match parameters::number(request, "id")? {
        Some(id) => inferences::by_id(who.scope, id),
        None => inferences::of_subject(
            who.scope,
            &parameters::needed(request, "repository")?,
            &parameters::needed(request, "subject")?,
        ),
    };
    respond::json(200, &app.database.ask(inference).await?)
}

/// `POST /api/classify`: a log (`text/plain`, or JSON `log`) or a record (JSON `error_message` and its fields).
pub(crate) async fn classify(mut request: Request, app: &App) -> Result<Response> {
    let content_type = request.headers().get("content-type").ok().flatten().unwrap_or_default();
    let body = body::read(&mut request, BODY_LIMIT_BYTES).await?;
    let model = app.model().await?;
    let verdict = if content_type.starts_with("text/plain") {
        model.classify_log(&text_excerpt(&body)?, None, None)?
    } else if content_type.starts_with("application/json") {
        let body: ClassifyRequest = serde_json::from_slice(&body)
            .map_err(|error| Error::JsonInvalid(format!("line {}", error.line())))?;
        match body {
            ClassifyRequest { telemetry: Some(telemetry), .. } => {
                model.classify(telemetry, &Excerpt::default())?
            }
            ClassifyRequest { log: Some(log), step, job, .. } => {
                model.classify_log(&text_excerpt(log.as_bytes())?, step.as_deref(), job.as_deref())?
            }
            ClassifyRequest { error_message: Some(message), record, .. } => {
                model.classify_message(&text_excerpt(message.as_bytes())?, record)?
            }
            _ => return Err(Error::FieldMissing("log or error_message")),
        }
    } else {
        return Err(Error::ContentTypeUnsupported);
    };
    let probabilities = Some(verdict.prediction.probabilities);
    respond::json(200, &PublicVerdict { probabilities, ..model.public(&verdict) })
}

fn text_excerpt(log: &[u8]) -> Result<Excerpt> {
    let excerpt = Excerpt::of(log);
    if excerpt.binary { Err(Error::ContentTypeUnsupported) } else { Ok(excerpt) }
}

/// The data of the badge, the heatmap and the registry, from one moment.
pub(crate) async fn overview(app: &App, scope: Scope) -> Result<Overview> {
    let model = app.model().await?;
    let version = &model.manifest.model_version;
    let both = inferences::totals(scope, WINDOW).and(store::drift::window(scope, version));
    let (totals, window) = app.database.ask(both).await?;
    let report = Report::of(&model.baseline, &window);
    Ok(Overview { totals, report, model })
}

pub(crate) struct Overview {
    pub(crate) totals: Totals,
    pub(crate) report: Report,
    pub(crate) model: Arc<ModelBundle>,
}
