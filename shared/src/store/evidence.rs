//! Verdicts whose evidence is not complete: what a reader should know of them, deliveries that wait for GitHub, and since
//! when it gives nothing.

use super::{Finding, LEASE_SECONDS, Rows, Statement, Transaction, Value, statement, text};
use crate::evidence::{Note, Trouble};
use crate::github::rfc3339;
use crate::webhook::DeliveryKey;
use crate::{Error, Result};
use serde::Serialize;

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

/// Why GitHub gives nothing, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GithubTrouble {
    /// `token_refused`, `limited` or `away`.
    pub state: String,
    /// RFC 3339.
    pub since: String,
}

/// Puts a delivery back until `at`, because GitHub gives nothing now.
#[must_use]
pub fn postpone(key: &DeliveryKey, trouble: Trouble, at: i64, now: i64) -> Transaction {
    Transaction(postponed(key, trouble, at, now).into())
}

/// Stores a verdict without the log, to be made again with it, and puts its delivery back until `at`. It is counted when
/// it is made again, and only then told on GitHub.
#[must_use]
pub fn tell_meanwhile(finding: Finding<'_>, trouble: Trouble, at: i64, now: i64) -> Transaction {
    let mut statements = vec![super::insert_meanwhile(finding, now)];
    statements.extend(notes(&finding, &[Note::LogAwaited]));
    statements.extend(notes(&finding, finding.notes));
    statements.push(super::keep_telemetry(&finding, now));
    statements.extend(postponed(finding.key, trouble, at, now));
    Transaction(statements)
}

/// Records that GitHub gives nothing.
#[must_use]
pub fn trouble(trouble: Trouble, now: i64) -> Transaction {
    Transaction(vec![statement(TROUBLE, [text(trouble.label()), Value::Integer(now)])])
}

/// Records that GitHub gives what it is asked for, and wakes what waited for that.
#[must_use]
pub fn trouble_is_over(now: i64) -> [Statement; 2] {
    [statement(TROUBLE_IS_OVER, []), statement(WAKE, [Value::Integer(now), Value::Integer(LEASE_SECONDS)])]
}

/// Whether GitHub gives nothing now. Read the answer with [`trouble_of`].
#[must_use]
pub fn trouble_now() -> Statement {
    statement(TROUBLE_NOW, [])
}

/// The trouble in [`trouble_now`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn trouble_of(rows: &Rows) -> Result<Option<GithubTrouble>> {
    match rows.rows.first().map(Vec::as_slice) {
        None => Ok(None),
        Some([Value::Text(state), Value::Integer(since)]) => {
            Ok(Some(GithubTrouble { state: state.clone(), since: rfc3339(*since) }))
        }
        Some(_) => Err(Error::StoreShape("github_trouble_now")),
    }
}

pub(super) fn notes(finding: &Finding<'_>, notes: &[Note]) -> Vec<Statement> {
    let (repository, subject) = (&finding.record.repository, finding.record.subject.key());
    let row = |note: &Note| statement(NOTE, [text(repository), text(&subject), text(note.label())]);
    notes.iter().map(row).collect()
}

pub(super) fn settle(finding: &Finding<'_>) -> Statement {
    statement(SETTLE, [text(&finding.record.repository), Value::Text(finding.record.subject.key())])
}

fn postponed(key: &DeliveryKey, trouble: Trouble, at: i64, now: i64) -> [Statement; 2] {
    [
        statement(POSTPONE, [text(&key.hook), text(&key.id), Value::Integer(at)]),
        statement(TROUBLE, [text(trouble.label()), Value::Integer(now)]),
    ]
}
