//! Corrections of verdicts.

use crate::clock::now;
use crate::guard::Call;
use crate::{body, parameters, respond};
use sentinel_shared::Result;
use sentinel_shared::api::feedback::{FeedbackAnswer, FeedbackStatus};
use sentinel_shared::feedback::Feedback;
use sentinel_shared::store;
use worker::Response;

/// `POST /api/feedback`: 201 for something new, 200 for what its author said before.
pub(crate) async fn feedback(Call { mut request, app, who, .. }: Call) -> Result<Response> {
    let feedback =
        Feedback::parse(&body::read(&mut request, parameters::FORM_LIMIT_BYTES).await?, &who.name)?;
    let (feedback, is_new) = app.database.ask(store::feedback::record(who.scope, &feedback, now())).await?;
    let (http, status) =
        if is_new { (201, FeedbackStatus::Recorded) } else { (200, FeedbackStatus::Unchanged) };
    respond::json(http, &FeedbackAnswer { status, feedback })
}

/// `GET /api/feedback?limit=1..1000`: who said what when, newest first.
pub(crate) async fn audit(Call { query, app, who, .. }: Call) -> Result<Response> {
    let audit = store::feedback::feedback(who.scope, query.limit()?);
    respond::json(200, &app.database.ask(audit).await?)
}

/// Answers `GET /api/feedback/stats` with the totals of corrections.
pub(crate) async fn stats(Call { app, who, .. }: Call) -> Result<Response> {
    respond::json(200, &app.database.ask(store::feedback::stats(who.scope)).await?)
}
