//! Verdicts: the stored ones, what they were made from, and verdicts on demand.

use crate::clock::now;
use crate::guard::Call;
use crate::{body, respond};
use sentinel_shared::api::verdict::PublicVerdict;
use sentinel_shared::api::verdicts::{ClassifyRequest, Timeline};
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::github::rfc3339;
use sentinel_shared::store::inferences::{self, Filter};
use sentinel_shared::store::{self, DAY_SECONDS};
use sentinel_shared::webhook::BODY_LIMIT_BYTES;
use sentinel_shared::{Error, Result};
use worker::Response;

/// The days that a timeline shows if the caller names none.
const TIMELINE_DAYS: i64 = 14;

/// `GET /api/timeline?days=1..90`: verdicts of each class, day by day.
pub(crate) async fn timeline(Call { query, app, who, .. }: Call) -> Result<Response> {
    let days = query.within("days", &(1..=90), "a whole number from 1 to 90")?.unwrap_or(TIMELINE_DAYS);
    // Whole days, today's among them.
    let since = (now() / DAY_SECONDS - (days - 1)) * DAY_SECONDS;
    let counts = app.database.ask(inferences::classes_by_day(who.scope, since)).await?;
    respond::json(200, &Timeline { since: rfc3339(since), days, counts })
}

/// `GET /api/history?limit=1..1000`, and of these only `repository=`, `class=`, `confidence_min=0..1`, `before=ID`.
pub(crate) async fn history(Call { query, app, who, .. }: Call) -> Result<Response> {
    let confidence = query.within("confidence_min", &(0.0..=1.0), "a number from 0 to 1")?;
    let filter = Filter {
        repository: query.text("repository"),
        prediction: query.text("class"),
        confidence_min: confidence.unwrap_or(0.0),
        before: query.number("before")?,
    };
    respond::json(200, &app.database.ask(inferences::history(who.scope, filter, query.limit()?)).await?)
}

/// `GET /api/telemetry?after=ID&since=UNIX&corrected=true`: what verdicts were made from, a page at a time.
pub(crate) async fn telemetry(Call { query, app, who, .. }: Call) -> Result<Response> {
    let (after, since) = (query.number("after")?, query.number("since")?);
    let corrected = query.text("corrected") == Some("true");
    let page = store::telemetry::page(who.scope, after.unwrap_or(0), since.unwrap_or(0), corrected);
    respond::json(200, &app.database.ask(page).await?)
}

/// `GET /api/inference?repository=owner/name&subject=run:1:1`: where a 202 points to; or `?id=7`.
pub(crate) async fn inference(Call { query, app, who, .. }: Call) -> Result<Response> {
    let inference = match query.number("id")? {
        Some(id) => inferences::by_id(who.scope, id),
        None => inferences::of_subject(who.scope, query.needed("repository")?, query.needed("subject")?),
    };
    respond::json(200, &app.database.ask(inference).await?)
}

/// `POST /api/classify`: a log (`text/plain`, or JSON `log`) or a record (JSON `error_message` and its fields).
pub(crate) async fn classify(Call { mut request, app, .. }: Call) -> Result<Response> {
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
