//! The ledger of deliveries over HTTP: lists deliveries, takes up given-up ones again, and deletes a repository's rows.

use crate::app::App;
use crate::{parameters, respond};
use sentinel_shared::access::Principal;
use sentinel_shared::store::deliveries::{self, DeliveryStatus};
use sentinel_shared::store::retention;
use sentinel_shared::{Error, Result};
use serde::Deserialize;
use serde_json::json;
use worker::{Request, Response};

#[derive(Deserialize)]
struct DeliveryForm {
    hook: String,
    id: String,
}

/// `GET /api/deliveries?status=failed&limit=1..1000`, newest first.
pub(crate) async fn list(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let status = parameters::query(request, "status").map(|label| {
        let expected = "queued, done or failed";
        DeliveryStatus::parse(&label).ok_or(Error::ParameterInvalid { name: "status", expected })
    });
    let ledger = deliveries::ledger(who.scope, status.transpose()?, parameters::limit(request)?);
    respond::json(200, &app.database.ask(ledger).await?)
}

/// `DELETE /api/repositories?name=owner/name`: forgets every row of it.
pub(crate) async fn forget(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let name = parameters::needed(request, "name")?;
    let rows = app.database.ask(retention::repository(who.scope, &name)).await?;
    respond::json(200, &json!({ "repository": name, "rows": rows }))
}

/// `POST /api/deliveries/redeliver` with `hook` and `id`: the next sweep takes it up.
pub(crate) async fn redeliver(mut request: Request, app: &App, who: &Principal) -> Result<Response> {
    let DeliveryForm { hook, id } = parameters::form(&mut request).await?;
    let (delivery, is_queued) = app.database.ask(deliveries::redeliver(who.scope, &hook, &id)).await?;
    let status = if is_queued { "queued" } else { "unchanged" };
    respond::json(200, &json!({ "status": status, "delivery": delivery }))
}
