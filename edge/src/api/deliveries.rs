//! The ledger of deliveries over HTTP: lists deliveries, takes up given-up ones again, and deletes a repository's rows.

use crate::app::App;
use crate::{parameters, respond};
use sentinel_shared::access::Principal;
use sentinel_shared::api::deliveries::{Forgotten, RedeliverAnswer};
use sentinel_shared::store::deliveries::{self, DeliveryStatus};
use sentinel_shared::store::retention;
use sentinel_shared::webhook::DeliveryKey;
use sentinel_shared::{Error, Result};
use worker::{Request, Response};

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
    respond::json(200, &Forgotten { repository: name, rows })
}

/// `POST /api/deliveries/redeliver` with `hook` and `id`: the next sweep takes it up.
pub(crate) async fn redeliver(mut request: Request, app: &App, who: &Principal) -> Result<Response> {
    let DeliveryKey { hook, id } = parameters::form(&mut request).await?;
    let (delivery, is_queued) = app.database.ask(deliveries::redeliver(who.scope, &hook, &id)).await?;
    respond::json(200, &RedeliverAnswer { status: is_queued.into(), delivery })
}
