//! Verdicts with incomplete evidence: remarks for readers, deliveries that wait for GitHub, and since when GitHub gives
//! nothing.

use super::column;
use super::deliveries::LEASE_SECONDS;
use super::query::{Change, Query, Statement, Value};
use super::verdict::NewInference;
use super::{statement, text};
use crate::evidence::{GithubStanding, Note, Trouble};
use crate::failure::FailureRecord;
use crate::webhook::DeliveryKey;
use serde::{Deserialize, Serialize};

// Each follows a statement that stored a verdict, and leaves `changes()` as that did.
const NOTE: &str = "-- note_evidence
INSERT INTO evidence_notes (inference_id, note)
SELECT id, ?3 FROM inferences WHERE changes() > 0 AND repository = ?1 AND subject = ?2
ON CONFLICT (inference_id, note) DO UPDATE SET note = excluded.note";

const SETTLE: &str = "-- settle_verdict
DELETE FROM evidence_notes WHERE note = 'log_awaited'
  AND inference_id = (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2)";

// A wait is not a try: only what fails on this side counts.
const POSTPONE: &str = "-- postpone_delivery
UPDATE deliveries SET lease_until = ?3, attempts = MAX(attempts - 1, 0)
WHERE hook = ?1 AND id = ?2 AND status = 'queued'";

const TROUBLE: &str = "-- github_trouble
INSERT INTO github_trouble (id, state, since) VALUES (1, ?1, ?2)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, since = excluded.since WHERE state <> excluded.state";

const TROUBLE_IS_OVER: &str = "-- github_answers
DELETE FROM github_trouble";

// Nobody works under a lease that is longer than a worker's: it is a wait, and what was waited for is over.
const WAKE: &str = "-- wake_deliveries
UPDATE deliveries SET lease_until = ?1 WHERE changes() > 0 AND status = 'queued' AND lease_until > ?1 + ?2";

const TROUBLE_NOW: &str = "-- github_trouble_now
SELECT state, since FROM github_trouble";

/// The reason why GitHub gives nothing, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GithubTrouble {
    /// The kind of trouble.
    pub state: GithubStanding,
    /// Since when, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub since: String,
}

/// Puts a delivery back until `at`, because GitHub gives nothing now.
pub fn postpone(key: &DeliveryKey, trouble: Trouble, at: i64, now: i64) -> Query<()> {
    let postpone = statement(POSTPONE, [text(&key.hook), text(&key.id), Value::Integer(at)]);
    Query::writing(postpone).done().with(begin_trouble(trouble, now))
}

/// Puts a delivery back, to be taken up before all others, because the event that took it up had too few calls left for
/// it. That is no try.
pub fn put_back(key: &DeliveryKey) -> Query<()> {
    let before_all_others = Value::Integer(1);
    Query::writing(statement(POSTPONE, [text(&key.hook), text(&key.id), before_all_others])).done()
}

/// Records that GitHub gives nothing.
pub fn begin_trouble(trouble: Trouble, now: i64) -> Query<()> {
    Query::writing(statement(TROUBLE, [text(trouble.label()), Value::Integer(now)])).done()
}

/// Records that GitHub gives what it is asked for, and wakes what waited for that.
pub fn end_trouble(now: i64) -> Query<()> {
    let wake = statement(WAKE, [Value::Integer(now), Value::Integer(LEASE_SECONDS)]);
    Change::of(statement(TROUBLE_IS_OVER, [])).then(wake).done()
}

/// Why GitHub gives nothing now, if it gives nothing.
pub fn trouble() -> Query<Option<GithubTrouble>> {
    Query::reading(statement(TROUBLE_NOW, [])).first()
}

/// Notes what should be known of the verdict that `change` stored.
pub(super) fn note(change: Change, new: &NewInference<'_>, notes: &[Note]) -> Change {
    let subject = new.subject.key();
    let row =
        |note: &Note| statement(NOTE, [text(&new.record.repository), text(&subject), text(note.label())]);
    notes.iter().map(row).fold(change, Change::then)
}

/// The verdict waits for its log no longer.
pub(super) fn settle(record: &FailureRecord) -> Statement {
    statement(SETTLE, [text(&record.repository), Value::Text(record.subject.key())])
}
