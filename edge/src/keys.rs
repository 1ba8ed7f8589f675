//! Creates, lists and revokes the operator's keys. A key is shown once, when it is created.

use crate::app::{App, now};
use crate::{api, guard, respond, session, turso};
use sentinel_shared::access::{NewKey, Token};
use sentinel_shared::store::access;
use sentinel_shared::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use worker::{Request, Response};

/// The longest time for which an isolate does not know a key that another one created, in seconds.
const REREAD_SECONDS: i64 = 2;
/// The largest request for a key that is read.
const NEW_KEY_LIMIT_BYTES: usize = 4 * 1024;

/// The keys an isolate has seen in the store. A key that is not among them is looked for in the store again, and that at
/// most every [`REREAD_SECONDS`], however many are made up.
#[derive(Default)]
pub(crate) struct KnownKeys {
    ids: Mutex<BTreeMap<String, i64>>,
    read_at: AtomicI64,
}

impl KnownKeys {
    /// The id of `key`, if it is known. Whether it still opens anything is asked of the store by who uses it.
    pub(crate) async fn id_of(&self, app: &App, key: &Token) -> Result<Option<i64>> {
        let digest = key.digest();
        let known =
            |digest: &str| self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied();
        if let Some(id) = known(&digest) {
            return Ok(Some(id));
        }
        if now() - self.read_at.load(Ordering::Relaxed) < REREAD_SECONDS {
            return Ok(None);
        }
        self.read_at.store(now(), Ordering::Relaxed);
        let read = turso::ask(app, access::known_keys()).await?;
        *self.ids.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(known(&digest))
    }

    fn insert(&self, key: &Token, id: i64) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(key.digest(), id);
    }
}

/// Answers `GET /api/keys` with all keys.
pub(crate) async fn list(app: &App) -> Result<Response> {
    respond::json(200, &turso::ask(app, access::keys()).await?)
}

/// `POST /api/keys` with `name`, `role` (`read` or `admin`) and where wanted `installation_id`.
pub(crate) async fn make(mut request: Request, app: &App) -> Result<Response> {
    let new = NewKey::parse(&guard::body(&mut request, NEW_KEY_LIMIT_BYTES).await?)?;
    let key = Token::key(&session::random()?);
    let row = turso::ask(app, access::make_key(&new, &key, now())).await?;
    app.known_keys.insert(&key, row.id);
    respond::json(201, &json!({ "key": key.expose(), "stored": row }))
}

/// `DELETE /api/keys?id=7`: the key and the browsers it signed in are refused from now on.
pub(crate) async fn revoke(request: &Request, app: &App) -> Result<Response> {
    let id = api::number(request, "id")?.ok_or(Error::ParameterMissing("id"))?;
    respond::json(200, &turso::ask(app, access::revoke_key(id, now())).await?)
}
