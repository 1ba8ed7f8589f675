//! The statements of the model registry. Which model serves is the last row of `activations`.

use super::column;
use super::query::{Query, Value};
use super::{json_of, statement, text};
use crate::Error;
use crate::artifact::Manifest;
use serde::{Deserialize, Serialize};
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
SELECT version AS model_version, digest, manifest, uploaded_by, uploaded_at AS timestamp,
  CASE WHEN version IS (SELECT version FROM activations ORDER BY id DESC LIMIT 1) THEN 'active'
    WHEN version IN (SELECT version FROM activations) THEN 'retired' ELSE 'candidate' END AS status
FROM models ORDER BY uploaded_at DESC, version DESC LIMIT 100";

const ACTIVATIONS: &str = "-- activations
SELECT version AS model_version, previous, action, author, at AS timestamp FROM activations ORDER BY id DESC LIMIT 100";

/// The registered model that should serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveModel {
    /// The version of the model.
    pub version: String,
    /// The name of the bundle in the KV store.
    pub digest: String,
}

/// A model in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    /// The version, as in `lgbm_v3.2`.
    pub model_version: String,
    /// `candidate`, `active` or `retired`.
    pub status: String,
    /// SHA-256 of the signed bundle.
    pub digest: String,
    /// The manifest, with metrics and data hashes.
    #[serde(deserialize_with = "column::json_or_default")]
    pub manifest: Json,
    /// The person who uploaded it.
    pub uploaded_by: String,
    /// When it was uploaded, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub timestamp: String,
}

/// One change of which model serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// The model that serves since then; None is the built-in one.
    pub model_version: Option<String>,
    /// The model that served before.
    pub previous: Option<String>,
    /// The kind of change: `promote` or `rollback`.
    pub action: String,
    /// The person who made the change.
    pub author: String,
    /// When it was changed, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub timestamp: String,
}

#[derive(Deserialize)]
struct Digest {
    digest: String,
}

/// A row for the last activation; both are NULL where it went back to the built-in model.
#[derive(Deserialize)]
struct Active {
    version: Option<String>,
    digest: Option<String>,
}

/// Registers a verified bundle as a candidate; whether its version was new. [`Error::BundleRefused`] where the version is
/// registered with other bytes.
pub fn register(manifest: &Manifest, digest: &str, author: &str, now: i64) -> Query<bool> {
    let version = &manifest.model_version;
    let row =
        [text(version), text(digest), Value::Text(json_of(manifest)), text(author), Value::Integer(now)];
    let insert = Query::writing(statement(REGISTER_MODEL, row)).affected();
    let digest = digest.to_owned();
    insert.and(digest_of(version)).try_map(move |(inserted, stored)| {
        if stored == digest {
            Ok(inserted > 0)
        } else {
            Err(Error::BundleRefused("this version is registered with other bytes: raise it".into()))
        }
    })
}

/// The model that should serve; None is the built-in one.
pub fn active() -> Query<Option<ActiveModel>> {
    Query::reading(statement(ACTIVE_MODEL, [])).first::<Active>().try_map(|row| match row {
        None | Some(Active { version: None, digest: None }) => Ok(None),
        Some(Active { version: Some(version), digest: Some(digest) }) => {
            Ok(Some(ActiveModel { version, digest }))
        }
        Some(_) => Err(Error::StoreShape("active_model")),
    })
}

/// The digest of `version`. [`Error::NotFound`] for a version that was never registered.
pub fn digest_of(version: &str) -> Query<String> {
    Query::reading(statement(MODEL_DIGEST, [text(version)])).found::<Digest>().map(|row| row.digest)
}

/// Makes `version` serve, unless it does already. Whether that changed anything, and what serves now.
pub fn promote(version: &str, author: &str, now: i64) -> Query<(bool, Option<ActiveModel>)> {
    let row = [text(version), text(author), Value::Integer(now)];
    let promote = Query::writing(statement(PROMOTE_MODEL, row)).affected();
    promote.map(|changed| changed > 0).and(active())
}

/// Takes the last promotion back: what served before it serves again. Twice takes back two. Answers with what serves now,
/// or with [`Error::ParameterInvalid`] while the built-in model serves: there is nothing under it.
pub fn rollback(author: &str, now: i64) -> Query<Option<ActiveModel>> {
    let rollback = Query::writing(statement(ROLLBACK_MODEL, [text(author), Value::Integer(now)])).affected();
    rollback.and(active()).try_map(|(changed, active)| match changed {
        0 => Err(Error::ParameterInvalid {
            name: "the model in use",
            expected: "a promoted one: the built-in model serves, and there is nothing before it",
        }),
        _ => Ok(active),
    })
}

/// The models, newest first, and the changes of which one serves, newest first.
pub fn registry() -> Query<(Vec<ModelRow>, Vec<Activation>)> {
    Query::reading(statement(REGISTRY, [])).rows().and(Query::reading(statement(ACTIVATIONS, [])).rows())
}
