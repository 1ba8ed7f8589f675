//! Whether the worker works, and whether GitHub gives it what it asks for.

use crate::app::App;
use crate::clock::now;
use crate::evidence::{self, Check};
use crate::guard::{Call, Visit};
use crate::models::Refused;
use crate::{respond, standing};
use sentinel_shared::Result;
use sentinel_shared::access::Scope;
use sentinel_shared::api::health::{
    GithubCheck, GithubState, Health, HealthStatus, RefusedModel, WrongSetting,
};
use sentinel_shared::evidence::GithubStanding;
use sentinel_shared::store::evidence as stored;
use sentinel_shared::store::inferences::{self, EvidenceKind, Filter};
use std::borrow::Cow;
use worker::Response;

/// `GET /health`: open to all, so it names settings and never shows them.
pub(crate) async fn health(Visit { app, .. }: Visit) -> Result<Response> {
    let missing = app.config.missing();
    let wrong: Vec<_> = app
        .config
        .wrong()
        .iter()
        .map(|(setting, problem)| WrongSetting { setting: (*setting).into(), problem: (*problem).into() })
        .collect();
    let serving = app.models.serving();
    let refused = app.models.refused();
    let github = standing::state(&app.config, &app.database, &app.github).await;
    let is_whole = missing.is_empty()
        && wrong.is_empty()
        && refused.is_none()
        && github.state != GithubStanding::TokenRefused;
    let (status, http) = match (&serving, is_whole) {
        (Err(_), _) => (HealthStatus::Unhealthy, 503),
        (Ok(_), false) => (HealthStatus::Degraded, 200),
        (Ok(_), true) => (HealthStatus::Healthy, 200),
    };
    let (model, model_source) = serving.ok().unzip();
    let reads_logs = app.config.github_token.is_some();
    let health = Health {
        status,
        service: "sentinel-dashboard".into(),
        model_version: model.map(|model| model.manifest.model_version.clone()),
        model_source,
        model_refused: refused.map(|Refused { version, reason, .. }| RefusedModel { version, reason }),
        missing: missing.into_iter().map(Cow::Borrowed).collect(),
        wrong,
        unlimited: app.limits.missing().into_iter().map(Cow::Borrowed).collect(),
        evidence: if reads_logs { EvidenceKind::Log } else { EvidenceKind::Payload },
        github,
    };
    respond::json(http, &health)
}

/// `GET /api/github`: asks GitHub for what reading logs needs, on the last failed run, and says what it met. What it met
/// is recorded like what a delivery meets.
pub(crate) async fn github(Call { app, .. }: Call) -> Result<Response> {
    let App { config, database, github: standing, .. } = app;
    let last = database.ask(inferences::history(Scope::All, Filter::default(), 1)).await?.pop();
    let place = last.as_ref().map(|last| (last.repository.as_str(), last.subject.as_str()));
    let check = evidence::check(config, place).await;
    let met = match check {
        Check::NoToken => None,
        Check::Trouble(trouble) => Some((Some(trouble), stored::begin_trouble(trouble, now()))),
        _ => Some((None, stored::end_trouble(now()))),
    };
    if let Some((trouble, record)) = met {
        database.ask(record).await?;
        standing.learn(trouble);
    }
    let GithubState { state, since } = standing::state(config, database, standing).await;
    let repository = last.map(|last| last.repository);
    respond::json(200, &GithubCheck { state, since, check: check.standing(), repository })
}
