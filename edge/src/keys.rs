//! The keys the operator hands out: made, listed and revoked. A key is shown once, when it is made.

use crate::app::{App, now};
use crate::{api, guard, respond, session, turso};
use sentinel_shared::access::{NewKey, Token};
use sentinel_shared::store::access;
use sentinel_shared::{Error, Result};
use serde_json::json;
use worker::{Request, Response};

/// The most of a request for a key that is read.
const NEW_KEY_LIMIT_BYTES: usize = 4 * 1024;

/// `GET /api/keys`
pub(crate) async fn list(app: &App) -> Result<Response> {
    let answers = turso::read(app, &[access::keys()]).await?;
    respond::json(200, &access::key_rows(answers.first().ok_or(Error::StoreShape("keys"))?)?)
}

/// `POST /api/keys` with `name`, `role` (`read` or `admin`) and where wanted `installation_id`.
pub(crate) async fn make(mut request: Request, app: &App) -> Result<Response> {
    let new = NewKey::parse(&guard::body(&mut request, NEW_KEY_LIMIT_BYTES).await?)?;
    let key = Token::key(&session::random()?);
    let answers = turso::commit(app, &access::make_key(&new, &key, now())).await?;
    let rows = access::key_rows(answers.first().ok_or(Error::StoreShape("make_key"))?)?;
    let row = rows.first().ok_or(Error::StoreShape("make_key"))?;
    respond::json(201, &json!({ "key": key.expose(), "stored": row }))
}

/// `DELETE /api/keys?id=7`: the key and the browsers it signed in are refused from now on.
pub(crate) async fn revoke(request: &Request, app: &App) -> Result<Response> {
    let id = api::number(request, "id")?.ok_or(Error::FieldMissing("id"))?;
    let answers = turso::commit(app, &access::revoke_key(id, now())).await?;
    let rows = access::key_rows(answers.first().ok_or(Error::StoreShape("revoke_key"))?)?;
    respond::json(200, rows.first().ok_or(Error::NotFound)?)
}
