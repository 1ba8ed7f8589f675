//! Every URL of the worker on one screen, and who may ask for it.

use crate::api::{self, deliveries, feedback, health, keys, metrics, models, overview, reviews, verdicts};
use crate::app::App;
use crate::{pages, respond, session, setup, webhook};
use sentinel_shared::access::Principal;
use sentinel_shared::{Error, Result};
use worker::{Context, Method, Request, Response};

pub(crate) async fn route(request: Request, app: &'static App, context: Context) -> worker::Result<Response> {
    let path = request.path();
    let answer = match (request.method(), path.as_str()) {
        (Method::Post, "/webhook/github") => webhook::receive(request, app, context).await,
        (Method::Get, "/health") => health::health(app).await,
        (Method::Get, "/api/session") => api::session::show(&request, app).await,
        (Method::Post, "/api/session") => api::session::open(request, app).await,
        (Method::Delete, "/api/session") => api::session::close(&request, app).await,
        (Method::Get, "/setup") => setup::page(&request),
        (Method::Get, "/setup/done") => setup::done(&request, app).await,
        (Method::Get, "/openapi.yaml") => pages::reference(),
        (Method::Get, path) if pages::has(path) => pages::serve(path),
        (method, path) => match (Call::of(&method, path), path.starts_with("/api/")) {
            (Some(call), _) => guarded(request, app, call).await,
            // A stranger does not learn which addresses exist.
            (None, true) => session::principal(&request, app).await.and(Err(Error::NotFound)),
            (None, false) => Err(Error::NotFound),
        },
    };
    answer.or_else(|error| respond::problem(&error))
}

/// A route that requires authentication.
#[derive(Clone, Copy)]
enum Call {
    Breakers,
    Classify,
    Dashboard,
    Deliveries,
    Drift,
    DriftWindows,
    Feedback,
    FeedbackAudit,
    FeedbackStats,
    Forget,
    Github,
    History,
    Inference,
    Job,
    Jobs,
    Keys,
    MakeKey,
    Metrics,
    ModelBundle,
    ModelDiff,
    PromoteModel,
    Redeliver,
    Registry,
    ReplayJob,
    RevokeKey,
    RollbackModel,
    Telemetry,
    Timeline,
    UploadModel,
}

/// The kind of key that a route requires.
enum Needs {
    /// Any key. The answer holds only what the key may see.
    Any,
    /// An admin key, for a change to rows that it may see.
    Admin,
    /// A key that is not limited to one installation, because the answer is about all of them.
    All,
    /// An admin key that is not limited to one installation.
    Operator,
}

impl Call {
    fn of(method: &Method, path: &str) -> Option<Self> {
        Some(match (method, path) {
            (Method::Get, "/api/breakers") => Self::Breakers,
            (Method::Post, "/api/classify") => Self::Classify,
            (Method::Get, "/api/dashboard") => Self::Dashboard,
            (Method::Get, "/api/deliveries") => Self::Deliveries,
            (Method::Post, "/api/deliveries/redeliver") => Self::Redeliver,
            (Method::Get, "/api/drift" | "/api/psi") => Self::Drift,
            (Method::Get, "/api/drift/windows") => Self::DriftWindows,
            (Method::Get, "/api/feedback") => Self::FeedbackAudit,
            (Method::Post, "/api/feedback") => Self::Feedback,
            (Method::Get, "/api/feedback/stats") => Self::FeedbackStats,
            (Method::Get, "/api/github") => Self::Github,
            (Method::Get, "/api/history") => Self::History,
            (Method::Get, "/api/inference") => Self::Inference,
            (Method::Get, "/api/job") => Self::Job,
            (Method::Get, "/api/jobs") => Self::Jobs,
            (Method::Post, "/api/jobs/replay") => Self::ReplayJob,
            (Method::Get, "/api/keys") => Self::Keys,
            (Method::Post, "/api/keys") => Self::MakeKey,
            (Method::Delete, "/api/keys") => Self::RevokeKey,
            (Method::Post, "/api/models") => Self::UploadModel,
            (Method::Get, "/api/models/bundle") => Self::ModelBundle,
            (Method::Get, "/api/models/diff") => Self::ModelDiff,
            (Method::Post, "/api/models/promote") => Self::PromoteModel,
            (Method::Post, "/api/models/rollback") => Self::RollbackModel,
            (Method::Get, "/api/registry") => Self::Registry,
            (Method::Delete, "/api/repositories") => Self::Forget,
            (Method::Get, "/api/telemetry") => Self::Telemetry,
            (Method::Get, "/api/timeline") => Self::Timeline,
            (Method::Get, "/metrics") => Self::Metrics,
            _ => return None,
        })
    }

    fn needs(self) -> Needs {
        match self {
            Self::Breakers
            | Self::Classify
            | Self::Dashboard
            | Self::Deliveries
            | Self::Drift
            | Self::DriftWindows
            | Self::Feedback
            | Self::FeedbackAudit
            | Self::FeedbackStats
            | Self::History
            | Self::Inference
            | Self::Job
            | Self::Jobs
            | Self::Telemetry
            | Self::Timeline => Needs::Any,
            Self::Forget | Self::Redeliver | Self::ReplayJob => Needs::Admin,
            Self::Github | Self::Metrics | Self::ModelBundle | Self::ModelDiff | Self::Registry => Needs::All,
            Self::Keys
            | Self::MakeKey
            | Self::PromoteModel
            | Self::RevokeKey
            | Self::RollbackModel
            | Self::UploadModel => Needs::Operator,
        }
    }
}

impl Needs {
    fn met_by(&self, who: &Principal) -> Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::Admin => who.may_change(),
            Self::All => who.sees_all(),
            Self::Operator => who.may_change().and_then(|()| who.sees_all()),
        }
    }
}

async fn guarded(request: Request, app: &App, call: Call) -> Result<Response> {
    let who = session::principal(&request, app).await?;
    call.needs().met_by(&who)?;
    match call {
        Call::Breakers => reviews::breakers(app, &who).await,
        Call::Classify => verdicts::classify(request, app).await,
        Call::Dashboard => overview::dashboard(app, &who).await,
        Call::Deliveries => deliveries::list(&request, app, &who).await,
        Call::Drift => overview::drift(app, &who).await,
        Call::DriftWindows => overview::drift_windows(app, &who).await,
        Call::Feedback => feedback::feedback(request, app, &who).await,
        Call::FeedbackAudit => feedback::audit(&request, app, &who).await,
        Call::FeedbackStats => feedback::stats(app, &who).await,
        Call::Forget => deliveries::forget(&request, app, &who).await,
        Call::Github => health::github(app).await,
        Call::History => verdicts::history(&request, app, &who).await,
        Call::Inference => verdicts::inference(&request, app, &who).await,
        Call::Job => reviews::show(&request, app, &who).await,
        Call::Jobs => reviews::list(&request, app, &who).await,
        Call::Keys => keys::list(app).await,
        Call::MakeKey => keys::make(request, app).await,
        Call::Metrics => metrics::metrics(app).await,
        Call::ModelBundle => models::bundle(&request, app).await,
        Call::ModelDiff => models::diff(&request, app).await,
        Call::PromoteModel => models::promote(request, app, &who).await,
        Call::Redeliver => deliveries::redeliver(request, app, &who).await,
        Call::Registry => models::show(app).await,
        Call::ReplayJob => reviews::replay(request, app, &who).await,
        Call::RevokeKey => keys::revoke(&request, app).await,
        Call::RollbackModel => models::rollback(app, &who).await,
        Call::Telemetry => verdicts::telemetry(&request, app, &who).await,
        Call::Timeline => verdicts::timeline(&request, app, &who).await,
        Call::UploadModel => models::upload(request, app, &who).await,
    }
}
