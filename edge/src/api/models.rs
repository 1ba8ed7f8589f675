//! The model registry over HTTP: upload a signed bundle, promote it, roll back.
//!
//! Every call here has passed the check of its key. The key alone installs nothing, because a bundle needs a trusted
//! key's signature.

use crate::api::overview;
use crate::app::App;
use crate::clock::now;
use crate::guard::Call;
use crate::{body, parameters, respond};
use sentinel_shared::access::Scope;
use sentinel_shared::api::models::{ChangedVerdict, ModelDiff, PromoteRequest, Registry, Serving, Uploaded};
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::artifact::signed::SIGNED_LIMIT_BYTES;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::store::models::{self as rows, ActiveModel};
use sentinel_shared::store::telemetry;
use sentinel_shared::{Error, Result};
use worker::Response;

/// Stored failures that two models are compared on: what fits the CPU time of one request.
const DIFF_ROWS: u32 = 100;

/// Answers `GET /api/registry` with the models and every change.
pub(crate) async fn show(Call { app, .. }: Call) -> Result<Response> {
    let overview = overview::overview(app, Scope::All).await?;
    let (models, activations) = app.database.ask(rows::registry()).await?;
    let manifest = &overview.model.manifest;
    respond::json(200, &Registry::new(&overview.totals, &overview.report, manifest, models, activations))
}

/// `POST /api/models`: takes a signed bundle as a candidate. 201, or 200 if it was known.
pub(crate) async fn upload(Call { mut request, app, who, .. }: Call) -> Result<Response> {
    let keys = app.config.model_keys()?;
    let signed = body::read(&mut request, SIGNED_LIMIT_BYTES).await?;
    let verified = keys.verify(&signed).map_err(refused)?;
    let bundle = verified.load().map_err(refused)?;
    app.models.keep(&verified.digest, &signed).await?;
    let register = rows::register(&bundle.manifest, &verified.digest, &who.name, now());
    let status = if app.database.ask(register).await? { 201 } else { 200 };
    let model_version = bundle.manifest.model_version;
    let (digest, registered) = (verified.digest, "registered".into());
    respond::json(status, &Uploaded { model_version, digest, status: registered })
}

/// `GET /api/models/bundle?version=`: a registered bundle as it was signed.
pub(crate) async fn bundle(Call { query, app, .. }: Call) -> Result<Response> {
    let version = query.needed("version")?;
    let digest = app.database.ask(rows::digest_of(version)).await?;
    respond::build(200, "application/octet-stream", app.models.fetch(&digest).await?, &[])
        .map_err(|_| Error::Internal("the answer can't be built"))
}

/// `POST /api/models/promote` with `version`: from the next request on, this model serves.
pub(crate) async fn promote(Call { mut request, app, who, .. }: Call) -> Result<Response> {
    let change: PromoteRequest = parameters::form(&mut request).await?;
    let version = change.version.ok_or(Error::FieldMissing("version"))?;
    let digest = app.database.ask(rows::digest_of(&version)).await?;
    // Tried before it is switched to: a bundle that does not load must not be what the registry says.
    app.models.load(&app.config, &version, &digest).await.map_err(refused)?;
    let (changed, active) = app.database.ask(rows::promote(&version, &who.name, now())).await?;
    serving_now(app, changed, active.as_ref()).await
}

/// `POST /api/models/rollback`: takes the last promotion back. Again takes the one before it back; 400 when the built-in
/// model serves.
pub(crate) async fn rollback(Call { app, who, .. }: Call) -> Result<Response> {
    let active = app.database.ask(rows::rollback(&who.name, now())).await?;
    serving_now(app, true, active.as_ref()).await
}

/// `GET /api/models/diff?version=`: where a registered model and the one in use disagree on what was delivered last.
/// Changes nothing.
pub(crate) async fn diff(Call { query, app, .. }: Call) -> Result<Response> {
    let version = query.needed("version")?;
    let both = rows::digest_of(version).and(telemetry::latest(DIFF_ROWS));
    let (digest, stored) = app.database.ask(both).await?;
    let candidate = app.models.load(&app.config, version, &digest).await.map_err(refused)?;
    let serving = app.model().await?;
    let mut changed = Vec::new();
    let compared = stored.len();
    for row in stored {
        let says = |model: &ModelBundle| {
            let verdict = model.classify(row.telemetry.clone(), &Excerpt::default())?;
            Ok::<_, Error>((verdict.prediction.verdict(), verdict.prediction.confidence))
        };
        let (active, candidate) = (says(&serving)?, says(&candidate)?);
        if active.0 != candidate.0 {
            changed.push(ChangedVerdict {
                id: row.id,
                repository: row.repository,
                subject: row.subject,
                corrected: row.corrected,
                active: active.0.into(),
                candidate: candidate.0.into(),
                confidence: candidate.1,
            });
        }
    }
    let active = serving.manifest.model_version.clone();
    respond::json(200, &ModelDiff { active, candidate: version.to_owned(), compared, changed })
}

async fn serving_now(app: &App, changed: bool, active: Option<&ActiveModel>) -> Result<Response> {
    let model = app.models.serve(&app.config, active).await?;
    respond::json(200, &Serving { model_version: model.manifest.model_version.clone(), changed })
}

fn refused(error: Error) -> Error {
    match error {
        Error::ModelInvalid(reason) => Error::BundleRefused(reason),
        error => error,
    }
}
