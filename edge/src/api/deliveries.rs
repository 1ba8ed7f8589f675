//! The ledger of deliveries over HTTP: lists deliveries, takes up given-up ones again, and deletes a repository's rows.

use crate::guard::Call;
use crate::{parameters, respond};
use sentinel_shared::Result;
use sentinel_shared::api::deliveries::{Forgotten, RedeliverAnswer};
use sentinel_shared::store::deliveries::{self, DeliveryStatus};
use sentinel_shared::store::retention;
use sentinel_shared::webhook::DeliveryKey;
use worker::Response;

/// `GET /api/deliveries?status=failed&limit=1..1000`, newest first.
pub(crate) async fn list(Call { query, app, who, .. }: Call) -> Result<Response> {
    let status = query.read("status", "queued, done or failed", DeliveryStatus::parse)?;
    let ledger = deliveries::ledger(who.scope, status, query.limit()?);
    respond::json(200, &app.database.ask(ledger).await?)
}

/// `DELETE /api/repositories?name=owner/name`: forgets every row of it.
pub(crate) async fn forget(Call { query, app, who, .. }: Call) -> Result<Response> {
    let repository = query.needed("name")?;
    let rows = app.database.ask(retention::repository(who.scope, repository)).await?;
    respond::json(200, &Forgotten { repository: repository.to_owned(), rows })
}

/// `POST /api/deliveries/redeliver` with `hook` and `id`: the next sweep takes it up.
pub(crate) async fn redeliver(Call { mut request, app, who, .. }: Call) -> Result<Response> {
    let DeliveryKey { hook, id } = parameters::form(&mut request).await?;
    let (delivery, is_queued) = app.database.ask(deliveries::redeliver(who.scope, &hook, &id)).await?;
    respond::json(200, &RedeliverAnswer { status: is_queued.into(), delivery })
}
