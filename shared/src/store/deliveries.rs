//! The ledger of deliveries.
//!
//! A delivery is recorded before it is acknowledged, worked on under a lease, and then done or given up. People read
//! the ledger, and can have a given-up delivery taken up again.

use super::column;
use super::history::known::known_of_delivery;
use super::history::reports;
use super::models::{self, ActiveModel};
use super::query::{Change, Query, Value};
use super::{feedback, installation, json_of, optional, retention, scope_param, statement, text};
use crate::access::Scope;
use crate::failure::FailureRecord;
use crate::history::KnownIssue;
use crate::webhook::DeliveryKey;
use serde::{Deserialize, Serialize};

/// The seconds that a worker has for one delivery before the sweep takes it up again.
pub const LEASE_SECONDS: i64 = 60;
/// The number of tries before a delivery is given up as failed. Waiting for GitHub is not a try.
pub const ATTEMPTS_MAX: i64 = 3;

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// A worker works on it, or the sweep will take it up.
    Queued,
    /// The delivery has its verdict, or asked for nothing.
    Done,
    /// The delivery was given up after [`ATTEMPTS_MAX`] tries.
    Failed,
}

/// The state in which [`accept`] found a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Seen for the first time, or given up before: ours to work on.
    New,
    /// Seen before and worked on right now, or waiting for the sweep.
    Queued,
    /// Seen before and done.
    Done,
}

/// A delivery that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The state in which it was found.
    pub accepted: Accepted,
    /// The known issues of its repository that were made from causes' pages.
    pub known: Vec<KnownIssue>,
}

/// A delivery that the sweep took up.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// GitHub's ids of the delivery.
    pub key: DeliveryKey,
    /// The failed run to classify.
    pub record: FailureRecord,
    /// When the delivery arrived, in Unix seconds.
    pub received_at: i64,
    /// The known issues of its repository that were made from causes' pages.
    pub known: Vec<KnownIssue>,
}

/// A delivery in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// GitHub's id of the webhook.
    pub hook: String,
    /// GitHub's id of the delivery.
    pub id: String,
    /// The kind of event, from `X-GitHub-Event`.
    pub event: String,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The status of the delivery.
    pub status: DeliveryStatus,
    /// How often it was worked on.
    pub attempts: i64,
    /// When it arrived, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub received_at: String,
    /// When it was finished, as RFC 3339.
    #[serde(deserialize_with = "column::optional_time")]
    pub finished_at: Option<String>,
}

const BEGIN_DELIVERY: &str = "-- begin_delivery
INSERT INTO deliveries (hook, id, event, repository, installation_id, status, record, lease_until, received_at)
VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8)
-- One that was given up and comes again is worked on again.
ON CONFLICT (hook, id) DO UPDATE SET status = 'queued', record = excluded.record, attempts = 1,
  lease_until = excluded.lease_until, received_at = excluded.received_at, finished_at = NULL WHERE status = 'failed'";

const DELIVERY_STATUS: &str = concat!(
    "-- delivery_status
SELECT status, ",
    known_of_delivery!(),
    " AS known FROM deliveries WHERE hook = ?1 AND id = ?2"
);

const FINISH_DELIVERY: &str = "-- finish_delivery
UPDATE deliveries SET status = 'done', record = NULL, finished_at = ?3 WHERE hook = ?1 AND id = ?2";

const GIVE_UP: &str = "-- give_up
UPDATE deliveries SET status = 'failed', finished_at = ?1
WHERE status = 'queued' AND lease_until < ?1 AND attempts >= ?2";

const CLAIM_DELIVERIES: &str = concat!(
    "-- claim_deliveries
UPDATE deliveries SET lease_until = ?2, attempts = attempts + 1
WHERE (hook, id) IN (SELECT hook, id FROM deliveries WHERE status = 'queued' AND lease_until < ?1
  ORDER BY lease_until LIMIT ?3)
RETURNING hook, id, record, received_at, ",
    known_of_delivery!(),
    " AS known"
);

const LEDGER: &str = "-- ledger
SELECT hook, id, event, repository, status, attempts, received_at, finished_at FROM deliveries
WHERE (?1 IS NULL OR installation_id = ?1) AND (?2 IS NULL OR status = ?2) ORDER BY received_at DESC, id LIMIT ?3";

const REDELIVER: &str = "-- redeliver
UPDATE deliveries SET status = 'queued', attempts = 0, lease_until = 0, finished_at = NULL
WHERE hook = ?1 AND id = ?2 AND status = 'failed' AND record IS NOT NULL AND (?3 IS NULL OR installation_id = ?3)";

const DELIVERY: &str = "-- delivery
SELECT hook, id, event, repository, status, attempts, received_at, finished_at FROM deliveries
WHERE hook = ?1 AND id = ?2 AND (?3 IS NULL OR installation_id = ?3)";

#[derive(Deserialize)]
struct DeliveryStatusRow {
    status: DeliveryStatus,
    #[serde(deserialize_with = "column::json_or_default")]
    known: Vec<KnownIssue>,
}

#[derive(Deserialize)]
struct ClaimedRow {
    hook: String,
    id: String,
    // None where it can't be read.
    #[serde(deserialize_with = "column::json_or_default")]
    record: Option<FailureRecord>,
    received_at: i64,
    #[serde(deserialize_with = "column::json_or_default")]
    known: Vec<KnownIssue>,
}

/// Records a delivery under its key, before it is acknowledged. Answers how it stands, and which model should judge it.
pub fn accept(
    key: &DeliveryKey,
    event: &str,
    record: &FailureRecord,
    now: i64,
) -> Query<(Recorded, Option<ActiveModel>)> {
    let row = [
        text(&key.hook),
        text(&key.id),
        text(event),
        text(&record.repository),
        installation(record),
        Value::Text(json_of(record)),
        Value::Integer(now + LEASE_SECONDS),
        Value::Integer(now),
    ];
    let begin = Change::of(statement(BEGIN_DELIVERY, row)).count("deliveries", event).affected();
    let status = statement(DELIVERY_STATUS, [text(&key.hook), text(&key.id)]);
    let accepted = begin.and(Query::reading(status).only()).map(|(inserted, row): (_, DeliveryStatusRow)| {
        let accepted = match row.status {
            _ if inserted > 0 => Accepted::New,
            DeliveryStatus::Queued => Accepted::Queued,
            DeliveryStatus::Done | DeliveryStatus::Failed => Accepted::Done,
        };
        Recorded { accepted, known: row.known }
    });
    accepted.and(models::active())
}

/// Takes up at most `limit` deliveries whose worker is gone or whose wait is over, and gives up those that were tried
/// often enough. Answers what was taken up, and which model should judge it. A delivery that can't be read is left out,
/// and given up by a later sweep.
pub fn take_up(limit: usize, now: i64) -> Query<(Vec<Claimed>, Option<ActiveModel>)> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let give_up = statement(GIVE_UP, [Value::Integer(now), Value::Integer(ATTEMPTS_MAX)]);
    let claim = [Value::Integer(now), Value::Integer(now + LEASE_SECONDS), Value::Integer(limit)];
    let claimed = Query::writing(statement(CLAIM_DELIVERIES, claim)).rows::<ClaimedRow>();
    let claimed = claimed.map(|rows| rows.into_iter().filter_map(ClaimedRow::claimed).collect());
    Query::writing(give_up).done().then(claimed).and(models::active())
}

/// As [`take_up`], and forgets what is older than it may be.
pub fn sweep(limit: usize, now: i64, retention_days: i64) -> Query<(Vec<Claimed>, Option<ActiveModel>)> {
    let forget = feedback::forget_telemetry(now).with(reports::forget(now));
    let forget = forget.with(retention::old(now, retention_days));
    take_up(limit, now).with(forget)
}

/// Closes a delivery that has its verdict, or about which there is nothing to say.
pub fn finish(key: &DeliveryKey, now: i64) -> Query<()> {
    Query::writing(statement(FINISH_DELIVERY, [text(&key.hook), text(&key.id), Value::Integer(now)])).done()
}

/// The latest deliveries, of one status or of all.
pub fn ledger(scope: Scope, status: Option<DeliveryStatus>, limit: u32) -> Query<Vec<DeliveryRow>> {
    let status = optional(status.map(DeliveryStatus::label));
    Query::reading(statement(LEDGER, [scope_param(scope), status, Value::Integer(i64::from(limit))])).rows()
}

/// Puts a delivery that was given up back for the next sweep. Answers the delivery, and whether it was put back: one that
/// is done or waiting is not. [`crate::Error::NotFound`] for one that is not in the ledger.
pub fn redeliver(scope: Scope, hook: &str, id: &str) -> Query<(DeliveryRow, bool)> {
    let which = || [text(hook), text(id), scope_param(scope)];
    let put_back = Query::writing(statement(REDELIVER, which())).affected();
    let stored = Query::reading(statement(DELIVERY, which())).found();
    put_back.and(stored).map(|(changed, stored)| (stored, changed > 0))
}

// === impl DeliveryStatus ===

impl DeliveryStatus {
    /// Every status of a delivery.
    pub const ALL: [Self; 3] = [Self::Queued, Self::Done, Self::Failed];

    /// The name in the table and on the wire.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.label() == label)
    }
}

impl ClaimedRow {
    fn claimed(self) -> Option<Claimed> {
        let Self { hook, id, record, received_at, known } = self;
        Some(Claimed { key: DeliveryKey { hook, id }, record: record?, received_at, known })
    }
}
