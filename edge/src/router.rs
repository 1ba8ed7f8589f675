//! Every URL of the worker on one screen.

use crate::app::App;
use crate::{api, guard, pages, registry, respond, reviews, telemetry, webhook};
use sentinel_shared::Error;
use worker::{Context, Method, Request, Response};

pub(crate) async fn route(request: Request, app: &'static App, context: Context) -> worker::Result<Response> {
    let path = request.path();
    let answer = match (request.method(), path.as_str()) {
        (Method::Post, "/webhook/github") => webhook::receive(request, app, context).await,
        (Method::Get, "/") => pages::index(),
        (Method::Get, "/app.js") => pages::script(),
        (Method::Get, "/style.css") => pages::style(),
        (Method::Get, "/health") => telemetry::health(app),
        (Method::Get, "/metrics") => guarded(request, app, Guarded::Metrics).await,
        (Method::Get, "/api/dashboard") => guarded(request, app, Guarded::Dashboard).await,
        (Method::Get, "/api/drift" | "/api/psi") => guarded(request, app, Guarded::Drift).await,
        (Method::Get, "/api/registry") => guarded(request, app, Guarded::Registry).await,
        (Method::Get, "/api/history") => guarded(request, app, Guarded::History).await,
        (Method::Get, "/api/inference") => guarded(request, app, Guarded::Inference).await,
        (Method::Get, "/api/jobs") => guarded(request, app, Guarded::Jobs).await,
        (Method::Get, "/api/job") => guarded(request, app, Guarded::Job).await,
        (Method::Get, "/api/feedback") => guarded(request, app, Guarded::FeedbackAudit).await,
        (Method::Get, "/api/feedback/stats") => guarded(request, app, Guarded::FeedbackStats).await,
        (Method::Post, "/api/feedback") => guarded(request, app, Guarded::Feedback).await,
        (Method::Get, "/api/telemetry") => guarded(request, app, Guarded::Telemetry).await,
        (Method::Get, "/api/models/bundle") => guarded(request, app, Guarded::ModelBundle).await,
        (Method::Post, "/api/models") => guarded(request, app, Guarded::UploadModel).await,
        (Method::Post, "/api/models/promote") => guarded(request, app, Guarded::PromoteModel).await,
        (Method::Post, "/api/models/rollback") => guarded(request, app, Guarded::RollbackModel).await,
        (Method::Post, "/api/classify") => guarded(request, app, Guarded::Classify).await,
        _ => Err(Error::NotFound),
    };
    answer.or_else(|error| respond::problem(&error))
}

/// What asks for the API key first.
enum Guarded {
    Metrics,
    Dashboard,
    Drift,
    Registry,
    History,
    Inference,
    Classify,
    Jobs,
    Job,
    Feedback,
    FeedbackAudit,
    FeedbackStats,
    Telemetry,
    ModelBundle,
    UploadModel,
    PromoteModel,
    RollbackModel,
}

async fn guarded(request: Request, app: &App, what: Guarded) -> sentinel_shared::Result<Response> {
    guard::api_key(&request, app).await?;
    match what {
        Guarded::Metrics => telemetry::metrics(app).await,
        Guarded::Dashboard => api::dashboard(app).await,
        Guarded::Drift => api::drift(app).await,
        Guarded::Registry => registry::show(app).await,
        Guarded::History => api::history(&request, app).await,
        Guarded::Inference => api::inference(&request, app).await,
        Guarded::Classify => api::classify(request, app).await,
        Guarded::Jobs => reviews::list(&request, app).await,
        Guarded::Job => reviews::show(&request, app).await,
        Guarded::Feedback => api::feedback(request, app).await,
        Guarded::FeedbackAudit => api::feedback_audit(&request, app).await,
        Guarded::Telemetry => api::telemetry(&request, app).await,
        Guarded::ModelBundle => registry::bundle(&request, app).await,
        Guarded::UploadModel => registry::upload(request, app).await,
        Guarded::PromoteModel => registry::promote(request, app).await,
        Guarded::RollbackModel => registry::rollback(request, app).await,
        Guarded::FeedbackStats => api::feedback_stats(app).await,
    }
}
