//! The statements of the model registry. Which model serves is the last row of `activations`.

use super::{Rows, Statement, Transaction, Value, json_of, statement, text, text_in};
use crate::artifact::Manifest;
use crate::github::rfc3339;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value as Json;

const REGISTER_MODEL: &str = "-- register_model
INSERT INTO models (version, digest, manifest, uploaded_by, uploaded_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (version) DO NOTHING";

const MODEL_DIGEST: &str = "-- model_digest
SELECT digest FROM models WHERE version = ?1";

const ACTIVE_MODEL: &str = "-- active_model
SELECT models.version, models.digest FROM activations LEFT JOIN models ON models.version = activations.version
ORDER BY activations.id DESC LIMIT 1";

const PROMOTE_MODEL: &str = "-- promote_model
INSERT INTO activations (version, previous, action, author, at)
SELECT version, (SELECT version FROM activations ORDER BY id DESC LIMIT 1), 'promote', ?2, ?3 FROM models
WHERE version = ?1 AND version IS NOT (SELECT version FROM activations ORDER BY id DESC LIMIT 1)";

// Promotions pile up and a rollback takes the last one off: what it uncovers is what served before that promotion. A
// promotion is on top when so many are left after it as are left now.
const ROLLBACK_MODEL: &str = "-- rollback_model
INSERT INTO activations (version, previous, action, author, at)
WITH pile AS (SELECT id, version, previous, action,
    SUM(CASE action WHEN 'promote' THEN 1 ELSE -1 END) OVER (ORDER BY id) AS height FROM activations),
  last AS (SELECT version, height FROM pile ORDER BY id DESC LIMIT 1)
SELECT (SELECT pile.previous FROM pile WHERE pile.action = 'promote' AND pile.height = last.height
  ORDER BY pile.id DESC LIMIT 1), last.version, 'rollback', ?1, ?2 FROM last WHERE last.version IS NOT NULL";

const REGISTRY: &str = "-- registry
SELECT version, digest, manifest, uploaded_by, uploaded_at,
  CASE WHEN version IS (SELECT version FROM activations ORDER BY id DESC LIMIT 1) THEN 'active'
    WHEN version IN (SELECT version FROM activations) THEN 'retired' ELSE 'candidate' END
FROM models ORDER BY uploaded_at DESC, version DESC LIMIT 100";

const ACTIVATIONS: &str = "-- activations
SELECT version, previous, action, author, at FROM activations ORDER BY id DESC LIMIT 100";

/// The registered model that should serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveModel {
    /// Its version.
    pub version: String,
    /// Its name in the bundle store.
    pub digest: String,
}

/// One registered model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelRow {
    /// `lgbm_v3.N`
    pub model_version: String,
    /// `candidate`, `active` or `retired`.
    pub status: String,
    /// SHA-256 of the signed bundle.
    pub digest: String,
    /// The manifest, with metrics and data hashes.
    pub manifest: Json,
    /// Who uploaded it.
    pub uploaded_by: String,
    /// RFC 3339.
    pub timestamp: String,
}

/// One change of which model serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Activation {
    /// What serves since; None is the built-in model.
    pub model_version: Option<String>,
    /// What served before.
    pub previous: Option<String>,
    /// `promote` or `rollback`.
    pub action: String,
    /// Who.
    pub author: String,
    /// RFC 3339.
    pub timestamp: String,
}

/// Registers a verified bundle as a candidate. Read the answer with [`registered`].
#[must_use]
pub fn register(manifest: &Manifest, digest: &str, author: &str, now: i64) -> Transaction {
    let version = &manifest.model_version;
    let row =
        [text(version), text(digest), Value::Text(json_of(manifest)), text(author), Value::Integer(now)];
    Transaction(vec![statement(REGISTER_MODEL, row), statement(MODEL_DIGEST, [text(version)])])
}

/// Whether the version was new, in [`register`]'s answer.
///
/// # Errors
/// [`Error::BundleRefused`] when the version is registered with other bytes.
pub fn registered(answers: &[Rows], digest: &str) -> Result<bool> {
    let [inserted, stored] = answers else { return Err(Error::StoreShape("register")) };
    match stored.rows.first().and_then(|row| row.first()) {
        Some(Value::Text(stored)) if stored == digest => Ok(inserted.affected > 0),
        Some(_) => Err(Error::BundleRefused("this version is registered with other bytes: raise it".into())),
        None => Err(Error::StoreShape("model_digest")),
    }
}

/// The model that should serve. Read the answer with [`active_of`].
#[must_use]
pub fn active() -> Statement {
    statement(ACTIVE_MODEL, [])
}

/// The model in [`active`]'s answer; None is the built-in one.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn active_of(rows: &Rows) -> Result<Option<ActiveModel>> {
    match rows.rows.first().map(Vec::as_slice) {
        None | Some([Value::Null, Value::Null]) => Ok(None),
        Some([Value::Text(version), Value::Text(digest)]) => {
            Ok(Some(ActiveModel { version: version.clone(), digest: digest.clone() }))
        }
        Some(_) => Err(Error::StoreShape("active_model")),
    }
}

/// The digest of `version`. Read the answer with [`digest_in`].
#[must_use]
pub fn digest_of(version: &str) -> Statement {
    statement(MODEL_DIGEST, [text(version)])
}

/// The digest in [`digest_of`]'s answer.
///
/// # Errors
/// [`Error::NotFound`] for a version that was never registered.
pub fn digest_in(rows: &Rows) -> Result<String> {
    rows.rows.first().and_then(|row| row.first()).and_then(text_in).ok_or(Error::NotFound)
}

/// Makes `version` serve, unless it does already.
#[must_use]
pub fn promote(version: &str, author: &str, now: i64) -> Transaction {
    Transaction(vec![statement(PROMOTE_MODEL, [text(version), text(author), Value::Integer(now)]), active()])
}

/// Takes the last promotion back: what served before it serves again. Twice takes back two. Read the answer with
/// [`rolled_back`].
#[must_use]
pub fn rollback(author: &str, now: i64) -> Transaction {
    Transaction(vec![statement(ROLLBACK_MODEL, [text(author), Value::Integer(now)]), active()])
}

/// Whether there was a promotion to take back, in [`rollback`]'s answer.
///
/// # Errors
/// [`Error::ParameterInvalid`] while the built-in model serves: there is nothing under it.
pub fn rolled_back(answers: &[Rows]) -> Result<()> {
    match answers.first().ok_or(Error::StoreShape("rollback_model"))?.affected {
        0 => Err(Error::ParameterInvalid {
            name: "the model in use",
            expected: "a promoted one: the built-in model serves, and there is nothing before it",
        }),
        _ => Ok(()),
    }
}

/// The registry and its history. Read the answers with [`registry_of`].
#[must_use]
pub fn registry() -> [Statement; 2] {
    [statement(REGISTRY, []), statement(ACTIVATIONS, [])]
}

/// The models, newest first, and the changes, newest first.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn registry_of(answers: &[Rows]) -> Result<(Vec<ModelRow>, Vec<Activation>)> {
    let [models, activations] = answers else { return Err(Error::StoreShape("registry")) };
    let models = models.rows.iter().map(|row| model(row).ok_or(Error::StoreShape("registry")));
    let changes = activations.rows.iter().map(|row| activation(row).ok_or(Error::StoreShape("activations")));
    Ok((models.collect::<Result<_>>()?, changes.collect::<Result<_>>()?))
}

fn model(row: &[Value]) -> Option<ModelRow> {
    let [version, digest, manifest, uploaded_by, Value::Integer(at), status] = row else { return None };
    Some(ModelRow {
        model_version: text_in(version)?,
        status: text_in(status)?,
        digest: text_in(digest)?,
        manifest: super::json_in(manifest),
        uploaded_by: text_in(uploaded_by)?,
        timestamp: rfc3339(*at),
    })
}

fn activation(row: &[Value]) -> Option<Activation> {
    let [version, previous, action, author, Value::Integer(at)] = row else { return None };
    Some(Activation {
        model_version: text_in(version),
        previous: text_in(previous),
        action: text_in(action)?,
        author: text_in(author)?,
        timestamp: rfc3339(*at),
    })
}
