//! Counters that only grow, for `/metrics`. They live in the store, so they survive every isolate and every node.

use super::query::{Change, Query, Statement, Value};
use super::{statement, text};
use serde::{Deserialize, Serialize};

const COUNT: &str = "-- count
INSERT INTO counters (name, label, value) VALUES (?1, ?2, ?3)
ON CONFLICT (name, label) DO UPDATE SET value = value + ?3";

const COUNT_IF_CHANGED: &str = "-- count_if_changed
INSERT INTO counters (name, label, value) SELECT ?1, ?2, ?3 WHERE changes() > 0
ON CONFLICT (name, label) DO UPDATE SET value = value + ?3";

const COUNTERS: &str = "-- counters
SELECT name, label, value FROM counters ORDER BY name, label";

/// One counter with its name and label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The name of what is counted, such as `deliveries`.
    pub name: String,
    /// The kind that is counted, such as the event's name.
    pub label: String,
    /// The count.
    pub value: u64,
}

/// All counters, by name and label.
pub fn counters() -> Query<Vec<Counter>> {
    Query::reading(statement(COUNTERS, [])).rows()
}

/// Counts `count` deliveries with a wrong signature. Nothing else about them is stored.
pub fn refused_signatures(count: i64) -> Query<()> {
    Query::writing(statement(COUNT, [text("refused"), text("signature"), Value::Integer(count)])).done()
}

impl Change {
    /// Counts the change. This changes a row whenever it runs, so more may follow.
    pub(super) fn count(self, name: &str, label: &str) -> Self {
        self.count_by(name, label, 1)
    }

    /// Counts the change as `by`.
    pub(super) fn count_by(self, name: &str, label: &str, by: u32) -> Self {
        self.then(count_if_changed(name, label, by))
    }
}

fn count_if_changed(name: &str, label: &str, by: u32) -> Statement {
    statement(COUNT_IF_CHANGED, [text(name), text(label), Value::Integer(i64::from(by))])
}
