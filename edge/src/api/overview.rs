//! The overview of the dashboard, and the drift of the verdicts.

use crate::app::App;
use crate::clock::now;
use crate::guard::Call;
use crate::respond;
use sentinel_shared::Result;
use sentinel_shared::access::Scope;
use sentinel_shared::api::dashboard::{Dashboard, WINDOW};
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::drift::{DriftReport, Heatmap};
use sentinel_shared::store;
use sentinel_shared::store::inferences::{self, Totals};
use std::sync::Arc;
use worker::Response;

/// The number of columns of the drift heatmap.
const HEATMAP_WINDOWS: u32 = 12;

/// Answers `GET /api/dashboard` with the overview.
pub(crate) async fn dashboard(Call { app, who, .. }: Call) -> Result<Response> {
    let overview = overview(app, who.scope).await?;
    let manifest = &overview.model.manifest;
    respond::json(200, &Dashboard::new(&overview.totals, overview.report, manifest, now()))
}

/// Answers `GET /api/drift`, and `/api/psi`, the name that older clients know.
pub(crate) async fn drift(Call { app, who, .. }: Call) -> Result<Response> {
    respond::json(200, &overview(app, who.scope).await?.report)
}

/// `GET /api/drift/windows`: the last windows of inferences, each against the training records, with histograms.
pub(crate) async fn drift_windows(Call { app, who, .. }: Call) -> Result<Response> {
    let model = app.model().await?;
    let version = &model.manifest.model_version;
    let both = store::drift::windows(who.scope, version, HEATMAP_WINDOWS)
        .and(store::drift::window_times(who.scope, HEATMAP_WINDOWS));
    let (windows, times) = app.database.ask(both).await?;
    respond::json(200, &Heatmap::new(&model.baseline, &windows, &times, version))
}

/// The data of the badge, the heatmap and the registry, from one moment.
pub(crate) async fn overview(app: &App, scope: Scope) -> Result<Overview> {
    let model = app.model().await?;
    let version = &model.manifest.model_version;
    let both = inferences::totals(scope, WINDOW).and(store::drift::window(scope, version));
    let (totals, window) = app.database.ask(both).await?;
    let report = DriftReport::of(&model.baseline, &window);
    Ok(Overview { totals, report, model })
}

pub(crate) struct Overview {
    pub(crate) totals: Totals,
    pub(crate) report: DriftReport,
    pub(crate) model: Arc<ModelBundle>,
}
