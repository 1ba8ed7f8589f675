//! Creates, lists and revokes the operator's keys. A key is shown once, when it is created.

use crate::clock::now;
use crate::guard::Call;
use crate::{body, respond, session};
use sentinel_shared::Result;
use sentinel_shared::access::{NewKey, Token};
use sentinel_shared::api::access::KeyCreated;
use sentinel_shared::store::access;
use worker::Response;

/// The largest request for a key that is read.
const NEW_KEY_LIMIT_BYTES: usize = 4 * 1024;

/// Answers `GET /api/keys` with all keys.
pub(crate) async fn list(Call { app, .. }: Call) -> Result<Response> {
    respond::json(200, &app.database.ask(access::keys()).await?)
}

/// `POST /api/keys` with `name`, `role` (`read` or `admin`) and where wanted `installation_id`.
pub(crate) async fn make(Call { mut request, app, .. }: Call) -> Result<Response> {
    let new = NewKey::parse(&body::read(&mut request, NEW_KEY_LIMIT_BYTES).await?)?;
    let key = Token::key(&session::random()?);
    let stored = app.database.ask(access::make_key(&new, &key, now())).await?;
    app.known_keys.insert(&key, stored.id);
    respond::json(201, &KeyCreated { key: key.expose().to_owned(), stored })
}

/// `DELETE /api/keys?id=7`: the key and the browsers it signed in are refused from now on.
pub(crate) async fn revoke(Call { query, app, .. }: Call) -> Result<Response> {
    let id = query.id()?;
    respond::json(200, &app.database.ask(access::revoke_key(id, now())).await?)
}
