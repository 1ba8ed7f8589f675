//! The ledger of deliveries as people read it, and how one that was given up is taken up again.

use super::{Rows, Statement, Transaction, Value, optional, statement, text, text_in};
use crate::access::Scope;
use crate::github::rfc3339;
use crate::{Error, Result};
use serde::Serialize;

/// Ways a delivery stands.
pub const STATUSES: [&str; 3] = ["queued", "done", "failed"];

const LEDGER: &str = "-- ledger
SELECT hook, id, event, repository, status, attempts, received_at, finished_at FROM deliveries
WHERE (?1 IS NULL OR installation_id = ?1) AND (?2 IS NULL OR status = ?2) ORDER BY received_at DESC, id LIMIT ?3";

const REDELIVER: &str = "-- redeliver
UPDATE deliveries SET status = 'queued', attempts = 0, lease_until = 0, finished_at = NULL
WHERE hook = ?1 AND id = ?2 AND status = 'failed' AND record IS NOT NULL AND (?3 IS NULL OR installation_id = ?3)";

const DELIVERY: &str = "-- delivery
SELECT hook, id, event, repository, status, attempts, received_at, finished_at FROM deliveries
WHERE hook = ?1 AND id = ?2 AND (?3 IS NULL OR installation_id = ?3)";

/// A delivery in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryRow {
    /// GitHub's id of the webhook.
    pub hook: String,
    /// GitHub's id of the delivery.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `owner/name`.
    pub repository: String,
    /// `queued`, `done` or `failed`.
    pub status: String,
    /// Times worked on.
    pub attempts: i64,
    /// RFC 3339.
    pub received_at: String,
    /// RFC 3339.
    pub finished_at: Option<String>,
}

/// The latest deliveries, of one status or of all. Read the answer with [`rows_of`].
#[must_use]
pub fn ledger(scope: Scope, status: Option<&str>, limit: u32) -> Statement {
    statement(LEDGER, [super::held_to(scope), optional(status), Value::Integer(i64::from(limit))])
}

/// The deliveries in an answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn rows_of(rows: &Rows) -> Result<Vec<DeliveryRow>> {
    let delivery = |row: &Vec<Value>| match row.as_slice() {
        [
            hook,
            id,
            event,
            repository,
            status,
            Value::Integer(attempts),
            Value::Integer(received),
            finished,
        ] => Some(DeliveryRow {
            hook: text_in(hook)?,
            id: text_in(id)?,
            event: text_in(event)?,
            repository: text_in(repository)?,
            status: text_in(status)?,
            attempts: *attempts,
            received_at: rfc3339(*received),
            finished_at: match finished {
                Value::Integer(at) => Some(rfc3339(*at)),
                _ => None,
            },
        }),
        _ => None,
    };
    rows.rows.iter().map(|row| delivery(row).ok_or(Error::StoreShape("ledger"))).collect()
}

/// Puts a delivery that was given up back for the next sweep. Read the answer with [`redelivered`].
#[must_use]
pub fn redeliver(scope: Scope, hook: &str, id: &str) -> Transaction {
    let which = || [text(hook), text(id), super::held_to(scope)];
    Transaction(vec![statement(REDELIVER, which()), statement(DELIVERY, which())])
}

/// The delivery in [`redeliver`]'s answer, and whether it was put back: one that is done or waiting is not.
///
/// # Errors
/// [`Error::NotFound`] for one that is not in the ledger.
pub fn redelivered(answers: &[Rows]) -> Result<(DeliveryRow, bool)> {
    let [changed, stored] = answers else { return Err(Error::StoreShape("redeliver")) };
    Ok((rows_of(stored)?.pop().ok_or(Error::NotFound)?, changed.affected > 0))
}
