//! The ledger of deliveries: shown, taken up again where one was given up, and forgotten with its repository.

use crate::app::App;
use crate::{api, respond, turso};
use sentinel_shared::access::Principal;
use sentinel_shared::store::deliveries::{self, STATUSES};
use sentinel_shared::store::retention;
use sentinel_shared::{Error, Result};
use serde::Deserialize;
use serde_json::json;
use worker::{Request, Response};

#[derive(Deserialize)]
struct Which {
    hook: String,
    id: String,
}

/// `GET /api/deliveries?status=failed&limit=1..1000`, newest first.
pub(crate) async fn list(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let status = api::query(request, "status");
    if status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(Error::ParameterInvalid { name: "status", expected: "queued, done or failed" });
    }
    let ledger = deliveries::ledger(who.scope, status.as_deref(), api::limit(request)?);
    let answers = turso::read(app, &[ledger]).await?;
    respond::json(200, &deliveries::rows_of(answers.first().ok_or(Error::StoreShape("ledger"))?)?)
}

/// `DELETE /api/repositories?name=owner/name`: forgets every row of it.
pub(crate) async fn forget(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let name = api::query(request, "name").ok_or(Error::FieldMissing("name"))?;
    let answers = turso::commit(app, &retention::repository(who.scope, &name)).await?;
    respond::json(200, &json!({ "repository": name, "rows": retention::erased(&answers) }))
}

/// `POST /api/deliveries/redeliver` with `hook` and `id`: the next sweep takes it up.
pub(crate) async fn redeliver(mut request: Request, app: &App, who: &Principal) -> Result<Response> {
    let Which { hook, id } = api::form(&mut request).await?;
    let answers = turso::commit(app, &deliveries::redeliver(who.scope, &hook, &id)).await?;
    let (delivery, is_queued) = deliveries::redelivered(&answers)?;
    let status = if is_queued { "queued" } else { "unchanged" };
    respond::json(200, &json!({ "status": status, "delivery": delivery }))
}
