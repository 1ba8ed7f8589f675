//! Every SQL text of the product, what goes into it and what comes out. The shells only carry it to a libSQL
//! server and back.
//!
//! Each function here returns a [`Query`]: what to ask, and how the answer is read.

pub mod access;
pub(crate) mod column;
pub mod counters;
pub mod deliveries;
pub mod drift;
pub mod evidence;
pub mod exchange;
pub mod feedback;
pub mod history;
pub mod hrana;
pub mod inferences;
pub mod jobs;
pub mod leases;
pub mod migrations;
pub mod models;
pub mod outbox;
pub mod pauses;
pub mod query;
pub mod queue;
pub mod reactions;
pub mod retention;
mod row;
pub mod telemetry;
mod verdict;
pub mod writes;

pub use query::{Lock, Query, Rows, Statement, Value};

use crate::access::Scope;
use crate::failure::FailureRecord;
use serde::Serialize;

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;
/// Most rows of history that one request reads.
pub const HISTORY_LIMIT: u32 = 1000;

fn statement<const N: usize>(sql: &'static str, args: [Value; N]) -> Statement {
    Statement { sql, args: args.into() }
}

/// Whatever hides in a name is stored spelt out. JSON and digests, which are ours, go past this.
fn text(value: &str) -> Value {
    Value::Text(crate::text::line(value).into_owned())
}

fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

fn installation(record: &FailureRecord) -> Value {
    record.installation_id.and_then(|id| i64::try_from(id).ok()).map_or(Value::Null, Value::Integer)
}

/// The installation whose rows alone are read; NULL for all.
fn scope_param(scope: Scope) -> Value {
    scope.installation().map_or(Value::Null, number)
}

fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn json_of<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what is stored has string keys and finite numbers")
}
