//! Chooses the posted review whose reactions are read next.

use super::DAY_SECONDS;
use super::column;
use super::jobs::ReviewResult;
use super::pauses::Identity;
use super::query::{Query, Value};
use super::{statement, text};
use crate::review::Finding;
use serde::Deserialize;

/// The seconds between two readings of the reactions to one review.
pub const HEAR_EVERY: i64 = 6 * 60 * 60;
/// The seconds after which the reactions to a review are not read any more.
pub const HEAR_FOR: i64 = 14 * DAY_SECONDS;

// Taken by being marked, so that of many nodes one asks GitHub.
const HEAR: &str = "-- hear_reactions
UPDATE review_jobs SET heard_at = ?1 WHERE id = (SELECT id FROM review_jobs
  WHERE kind = 'review' AND status = 'done' AND review_url IS NOT NULL AND finished_at > ?1 - ?2
    AND COALESCE(heard_at, finished_at) <= ?1 - ?3
    AND NOT EXISTS (SELECT 1 FROM breakers WHERE retry_at > ?1
      AND account IN (?4, COALESCE(CAST(installation_id AS TEXT), 'other')))
  ORDER BY COALESCE(heard_at, 0), id LIMIT 1)
RETURNING key, repository, number, installation_id, result";

/// A posted review whose reactions are to be read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Posted {
    /// The job's idempotency key.
    pub key: String,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The pull request's number.
    pub number: u64,
    /// The App installation that the event came through.
    pub installation_id: Option<u64>,
    #[serde(deserialize_with = "column::json_or_default")]
    result: Option<ReviewResult>,
}

/// Takes the posted review that was listened to longest ago, [`HEAR_EVERY`] or more, if one is young enough and its
/// account is not paused.
pub fn hear(identity: Identity, now: i64) -> Query<Option<Posted>> {
    let args =
        [Value::Integer(now), Value::Integer(HEAR_FOR), Value::Integer(HEAR_EVERY), text(identity.label())];
    Query::writing(statement(HEAR, args)).first()
}

impl Posted {
    /// The findings that were posted.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.result.as_ref().map_or(&[], |result| &result.findings)
    }
}
