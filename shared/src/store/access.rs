//! The statements of keys and browser sessions.

use super::column;
use super::query::{Query, Value};
use super::{number, optional, statement, text};
use crate::Error;
use crate::access::{NewKey, Principal, Role, SESSION_SECONDS, Scope, Token};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Live keys that an isolate holds in memory, the newest: a megabyte of digests, and more than anybody hands out.
const KNOWN_KEYS_MAX: i64 = 10_000;

const MAKE_KEY: &str = "-- make_key
INSERT INTO api_keys (name, digest, role, installation_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
RETURNING id, name, role, installation_id, created_at, revoked_at";

const KEYS: &str = "-- keys
SELECT id, name, role, installation_id, created_at, revoked_at FROM api_keys ORDER BY id DESC LIMIT 1000";

const REVOKE_KEY: &str = "-- revoke_key
UPDATE api_keys SET revoked_at = COALESCE(revoked_at, ?2) WHERE id = ?1
RETURNING id, name, role, installation_id, created_at, revoked_at";

const REVOKE_KEYS_OF: &str = "-- revoke_keys_of
UPDATE api_keys SET revoked_at = ?2 WHERE installation_id = ?1 AND revoked_at IS NULL";

// A running job finds out by itself: GitHub refuses its token.
const END_JOBS_OF: &str = "-- end_jobs_of
UPDATE review_jobs SET status = 'skipped', finished_at = ?2, error = 'the App was uninstalled'
WHERE installation_id = ?1 AND status = 'queued'";

const KEY_HOLDER: &str = "-- key_holder
SELECT id, name, role, installation_id FROM api_keys WHERE digest = ?1 AND revoked_at IS NULL";

const KNOWN_KEYS: &str = "-- known_keys
SELECT digest, id FROM api_keys WHERE revoked_at IS NULL ORDER BY id DESC LIMIT ?1";

const OPEN_SESSION: &str = "-- open_session
INSERT INTO sessions (digest, key_id, operator, expires_at)
SELECT ?1, (SELECT id FROM api_keys WHERE digest = ?2), ?3, ?4";

const SESSION_HOLDER: &str = "-- session_holder
SELECT api_keys.id, name, role, installation_id, operator FROM sessions LEFT JOIN api_keys ON api_keys.id = sessions.key_id
WHERE sessions.digest = ?1 AND expires_at > ?2 AND revoked_at IS NULL";

const CLOSE_SESSION: &str = "-- close_session
DELETE FROM sessions WHERE digest = ?1";

const FORGET_SESSIONS: &str = "-- forget_sessions
DELETE FROM sessions WHERE expires_at <= ?1";

/// A key as its operator sees it: never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The id of the key's row.
    pub id: i64,
    /// The name, which says what the key is for.
    pub name: String,
    /// The role, which says what the key allows.
    pub role: Role,
    /// The installation that the key is limited to; None if it sees all rows.
    pub installation_id: Option<i64>,
    /// When the key was created, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub created_at: String,
    /// When the key was revoked, as RFC 3339.
    #[serde(deserialize_with = "column::optional_time")]
    pub revoked_at: Option<String>,
}

/// The key that a browser signs in with.
#[derive(Clone, Copy)]
pub enum SignIn<'a> {
    /// A key that the operator created.
    Key(&'a Token),
    /// The key in the configuration, by its tag.
    Operator(&'a str),
}

/// A row that says who holds a key. `operator` is set in the session of the configuration's own key, which has no row.
#[derive(Deserialize)]
struct Holder {
    id: Option<i64>,
    name: Option<String>,
    role: Option<Role>,
    // A key held to something unreadable must not see all: what is no such number is an error.
    installation_id: Option<u64>,
    operator: Option<String>,
}

#[derive(Deserialize)]
struct KnownKey {
    digest: String,
    id: i64,
}

/// The numbers of keys and jobs that [`uninstall`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uninstalled {
    /// The number of keys that were revoked.
    pub keys_revoked: u64,
    /// The number of waiting jobs that were ended.
    pub jobs_ended: u64,
}

/// Stores a new key.
pub fn make_key(new: &NewKey, key: &Token, now: i64) -> Query<KeyRow> {
    let row = [
        text(new.name.trim()),
        Value::Text(key.digest()),
        text(new.role.label()),
        new.installation_id.map_or(Value::Null, number),
        Value::Integer(now),
    ];
    Query::writing(statement(MAKE_KEY, row)).only()
}

/// All keys, newest first.
pub fn keys() -> Query<Vec<KeyRow>> {
    Query::reading(statement(KEYS, [])).rows()
}

/// Revokes a key and every session that was opened with it. [`Error::NotFound`] if there is no such key.
pub fn revoke_key(id: i64, now: i64) -> Query<KeyRow> {
    Query::writing(statement(REVOKE_KEY, [Value::Integer(id), Value::Integer(now)])).found()
}

/// Revokes the keys of an installation that is gone, and ends its waiting jobs. Its verdicts and reviews stay until
/// they expire or somebody deletes them.
pub fn uninstall(installation: u64, now: i64) -> Query<Uninstalled> {
    let end = |sql| Query::writing(statement(sql, [number(installation), Value::Integer(now)])).affected();
    end(REVOKE_KEYS_OF)
        .and(end(END_JOBS_OF))
        .map(|(keys_revoked, jobs_ended)| Uninstalled { keys_revoked, jobs_ended })
}

/// The holder of `key`. [`Error::ApiKeyRejected`] for a key that is not known or was revoked.
pub fn key_holder(key: &Token) -> Query<Principal> {
    let holder = Query::reading(statement(KEY_HOLDER, [Value::Text(key.digest())])).first::<Holder>();
    holder.try_map(|holder| holder.ok_or(Error::ApiKeyRejected)?.principal())
}

/// The digests and ids of all live keys, so that an invented key costs no query of its own.
pub fn known_keys() -> Query<BTreeMap<String, i64>> {
    let keys = Query::reading(statement(KNOWN_KEYS, [Value::Integer(KNOWN_KEYS_MAX)])).rows::<KnownKey>();
    keys.map(|keys| keys.into_iter().map(|key| (key.digest, key.id)).collect())
}

/// Stores a browser session, and deletes the expired ones.
pub fn open_session(session: &Token, with: SignIn<'_>, now: i64) -> Query<()> {
    let (key, operator) = match with {
        SignIn::Key(key) => (Some(key.digest()), None),
        SignIn::Operator(tag) => (None, Some(tag)),
    };
    let row = [
        Value::Text(session.digest()),
        optional(key.as_deref()),
        optional(operator),
        Value::Integer(now + SESSION_SECONDS),
    ];
    let forget = Query::writing(statement(FORGET_SESSIONS, [Value::Integer(now)])).done();
    Query::writing(statement(OPEN_SESSION, row)).done().with(forget)
}

/// The holder of a session. `operator` is the tag of the configuration's key. [`Error::SessionOver`] for a session that
/// is not known, too old, or whose key is gone.
pub fn session_holder(session: &Token, operator: &str, now: i64) -> Query<Principal> {
    let operator = operator.to_owned();
    let row = [Value::Text(session.digest()), Value::Integer(now)];
    let holder = Query::reading(statement(SESSION_HOLDER, row)).first::<Holder>();
    holder.try_map(move |holder| {
        let holder = holder.ok_or(Error::SessionOver)?;
        match &holder.operator {
            Some(tag) if *tag == operator => Ok(Principal::operator()),
            Some(_) => Err(Error::SessionOver),
            None => holder.principal(),
        }
    })
}

/// Signs a browser out.
pub fn close_session(session: &Token) -> Query<()> {
    Query::writing(statement(CLOSE_SESSION, [Value::Text(session.digest())])).done()
}

impl Holder {
    fn principal(self) -> crate::Result<Principal> {
        match self {
            Self { id: Some(id), name: Some(name), role: Some(role), installation_id, .. } => {
                Ok(Principal { name, role, scope: Scope::from(installation_id), key_id: Some(id) })
            }
            _ => Err(Error::StoreShape("key_holder")),
        }
    }
}
