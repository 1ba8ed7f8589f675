//! The statements of keys and of browsers that are signed in.

use super::{Rows, Statement, Transaction, Value, number, optional, statement, text, text_in};
use crate::access::{NewKey, Principal, Role, SESSION_SECONDS, Scope, Token};
use crate::github::rfc3339;
use crate::{Error, Result};
use serde::Serialize;
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
SELECT name, role, installation_id, id FROM api_keys WHERE digest = ?1 AND revoked_at IS NULL";

const KNOWN_KEYS: &str = "-- known_keys
SELECT digest, id FROM api_keys WHERE revoked_at IS NULL ORDER BY id DESC LIMIT ?1";

const OPEN_SESSION: &str = "-- open_session
INSERT INTO sessions (digest, key_id, operator, expires_at)
SELECT ?1, (SELECT id FROM api_keys WHERE digest = ?2), ?3, ?4";

const SESSION_HOLDER: &str = "-- session_holder
SELECT name, role, installation_id, operator, api_keys.id FROM sessions LEFT JOIN api_keys ON api_keys.id = sessions.key_id
WHERE sessions.digest = ?1 AND expires_at > ?2 AND revoked_at IS NULL";

const CLOSE_SESSION: &str = "-- close_session
DELETE FROM sessions WHERE digest = ?1";

const FORGET_SESSIONS: &str = "-- forget_sessions
DELETE FROM sessions WHERE expires_at <= ?1";

/// A key as its operator sees it: never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Row id.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// `read` or `admin`.
    pub role: String,
    /// The installation it is held to.
    pub installation_id: Option<i64>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub revoked_at: Option<String>,
}

/// With which key a browser signs in.
#[derive(Clone, Copy)]
pub enum SignIn<'a> {
    /// One that was handed out.
    Key(&'a Token),
    /// The one of the configuration, by its tag.
    Operator(&'a str),
}

/// Stores a new key. Read the answer with [`key_rows`].
#[must_use]
pub fn make_key(new: &NewKey, key: &Token, now: i64) -> Transaction {
    let row = [
        text(new.name.trim()),
        Value::Text(key.digest()),
        text(new.role.label()),
        new.installation_id.map_or(Value::Null, number),
        Value::Integer(now),
    ];
    Transaction(vec![statement(MAKE_KEY, row)])
}

/// All keys, newest first. Read the answer with [`key_rows`].
#[must_use]
pub fn keys() -> Statement {
    statement(KEYS, [])
}

/// Ends a key and every session that was opened with it. Read the answer with [`key_rows`].
#[must_use]
pub fn revoke_key(id: i64, now: i64) -> Transaction {
    Transaction(vec![statement(REVOKE_KEY, [Value::Integer(id), Value::Integer(now)])])
}

/// Ends the keys of an installation that is gone, and what waits in its name. Its verdicts and reviews stay until their
/// time, or until somebody forgets them. The answers' counts are how many of each.
#[must_use]
pub fn uninstall(installation: u64, now: i64) -> Transaction {
    let args = || [number(installation), Value::Integer(now)];
    Transaction(vec![statement(REVOKE_KEYS_OF, args()), statement(END_JOBS_OF, args())])
}

/// The keys in an answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn key_rows(rows: &Rows) -> Result<Vec<KeyRow>> {
    let key = |row: &Vec<Value>| match row.as_slice() {
        [Value::Integer(id), name, role, installation, Value::Integer(created_at), revoked] => Some(KeyRow {
            id: *id,
            name: text_in(name)?,
            role: text_in(role)?,
            installation_id: integer_in(installation),
            created_at: rfc3339(*created_at),
            revoked_at: integer_in(revoked).map(rfc3339),
        }),
        _ => None,
    };
    rows.rows.iter().map(|row| key(row).ok_or(Error::StoreShape("keys"))).collect()
}

/// Who holds `key`. Read the answer with [`key_holder_of`].
#[must_use]
pub fn key_holder(key: &Token) -> Statement {
    statement(KEY_HOLDER, [Value::Text(key.digest())])
}

/// The holder in [`key_holder`]'s answer.
///
/// # Errors
/// [`Error::ApiKeyRejected`] for a key that is not known or was revoked.
pub fn key_holder_of(rows: &Rows) -> Result<Principal> {
    let row = rows.rows.first().ok_or(Error::ApiKeyRejected)?;
    let [name, role, installation, id] = row.as_slice() else { return Err(Error::StoreShape("key_holder")) };
    principal(name, role, installation, id).ok_or(Error::StoreShape("key_holder"))
}

/// The keys that open something, by their digests, so that a made-up one costs no question of its own. Read the answer
/// with [`known_keys_of`].
#[must_use]
pub fn known_keys() -> Statement {
    statement(KNOWN_KEYS, [Value::Integer(KNOWN_KEYS_MAX)])
}

/// Digest and id of each key in [`known_keys`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn known_keys_of(rows: &Rows) -> Result<BTreeMap<String, i64>> {
    let key = |row: &Vec<Value>| match row.as_slice() {
        [Value::Text(digest), Value::Integer(id)] => Ok((digest.clone(), *id)),
        _ => Err(Error::StoreShape("known_keys")),
    };
    rows.rows.iter().map(key).collect()
}

/// Keeps a browser signed in, and forgets those whose time is over.
#[must_use]
pub fn open_session(session: &Token, with: SignIn<'_>, now: i64) -> Transaction {
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
    Transaction(vec![statement(OPEN_SESSION, row), statement(FORGET_SESSIONS, [Value::Integer(now)])])
}

/// Who is signed in. Read the answer with [`session_holder_of`].
#[must_use]
pub fn session_holder(session: &Token, now: i64) -> Statement {
    statement(SESSION_HOLDER, [Value::Text(session.digest()), Value::Integer(now)])
}

/// The holder in [`session_holder`]'s answer; `operator` is the tag of the configuration's key.
///
/// # Errors
/// [`Error::SessionOver`] for a session that is not known, too old, or whose key is gone.
pub fn session_holder_of(rows: &Rows, operator: &str) -> Result<Principal> {
    let row = rows.rows.first().ok_or(Error::SessionOver)?;
    let [name, role, installation, opened_by_operator, id] = row.as_slice() else {
        return Err(Error::StoreShape("session_holder"));
    };
    match opened_by_operator {
        Value::Text(tag) if tag == operator => Ok(Principal::operator()),
        Value::Text(_) => Err(Error::SessionOver),
        _ => principal(name, role, installation, id).ok_or(Error::StoreShape("session_holder")),
    }
}

/// Signs a browser out.
#[must_use]
pub fn close_session(session: &Token) -> Transaction {
    Transaction(vec![statement(CLOSE_SESSION, [Value::Text(session.digest())])])
}

fn principal(name: &Value, role: &Value, installation: &Value, id: &Value) -> Option<Principal> {
    let installation = match installation {
        Value::Null => None,
        // A key held to something unreadable must not see all.
        value => Some(u64::try_from(integer_in(value)?).ok()?),
    };
    Some(Principal {
        name: text_in(name)?,
        role: Role::parse(&text_in(role)?)?,
        scope: Scope::from(installation),
        key_id: Some(integer_in(id)?),
    })
}

fn integer_in(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(integer) => Some(*integer),
        _ => None,
    }
}
