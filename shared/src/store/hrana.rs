//! Statements to the JSON of a Hrana 2 pipeline and rows back. Turso and `sentinel db` both speak it; the edge
//! carries it by fetch, the node by its HTTP client.
//!
//! One pipeline is one round trip: BEGIN, each statement if the one before succeeded, COMMIT, or else ROLLBACK.
//! Protocol: <https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md>.

use super::{Lock, Rows, Statement, Value};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where a pipeline is posted, below the database's URL.
pub const PATH: &str = "/v2/pipeline";

/// Why there are no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The statement names a table or column that is not there, as the text says. The schema may be missing or old.
    Schema(String),
    /// Another writer held the database too long.
    Busy,
    /// The statement can't be run; the text is for an operator.
    Rejected(String),
    /// The answer is not of the protocol.
    Misunderstood,
}

// === what is sent ===

#[derive(Serialize)]
struct Pipeline<'a> {
    baton: Option<&'a str>,
    requests: [StreamRequest<'a>; 2],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamRequest<'a> {
    Batch { batch: &'a Script<'a> },
    Close,
}

/// The steps of one batch. A step is called by its number.
#[derive(Default, Serialize)]
pub(super) struct Script<'a> {
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    condition: Option<Condition>,
    stmt: WireStatement<'a>,
}

/// What must hold of earlier steps for one to run. A step that did not run has neither succeeded nor failed.
#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Condition {
    Ok { step: usize },
    Error { step: usize },
    Not { cond: Box<Condition> },
    And { conds: Vec<Condition> },
    Or { conds: Vec<Condition> },
}

#[derive(Serialize)]
struct WireStatement<'a> {
    sql: &'a str,
    args: Vec<WireValue<'a>>,
    want_rows: bool,
}

/// Integers travel as text: a JSON number holds 53 bits.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireValue<'a> {
    Null,
    Integer { value: Cow<'a, str> },
    Float { value: f64 },
    Text { value: Cow<'a, str> },
    Blob {},
}

// === what is answered ===

#[derive(Deserialize)]
struct PipelineAnswer {
    results: Vec<StreamAnswer>,
}

/// Holds one of the two, by its `type`; which is not read, since telling them apart needs no copy of both.
#[derive(Deserialize)]
struct StreamAnswer {
    response: Option<StreamResponse>,
    error: Option<SqlError>,
}

#[derive(Deserialize)]
struct StreamResponse {
    /// None of a stream that was closed.
    result: Option<BatchAnswer>,
}

#[derive(Deserialize)]
struct SqlError {
    message: String,
}

#[derive(Deserialize)]
struct BatchAnswer {
    step_results: Vec<Option<StatementAnswer>>,
    step_errors: Vec<Option<SqlError>>,
}

#[derive(Deserialize)]
struct StatementAnswer {
    #[serde(default)]
    cols: Vec<Column>,
    rows: Vec<Vec<WireValue<'static>>>,
    affected_row_count: u64,
}

#[derive(Deserialize)]
struct Column {
    /// None for an expression without a name.
    name: Option<String>,
}

/// The body that runs `statements` whole or not at all.
#[must_use]
pub fn batch(lock: Lock, statements: &[Statement]) -> String {
    let begin = match lock {
        Lock::Write => "BEGIN IMMEDIATE",
        Lock::Read => "BEGIN",
    };
    let mut script = Script::default();
    let mut last = script.step(None, begin);
    for statement in statements {
        let args = statement.args.iter().map(wire).collect();
        let stmt = WireStatement { sql: statement.sql, args, want_rows: true };
        last = script.push(Some(Condition::ok(last)), stmt);
    }
    let committed = script.step(Some(Condition::ok(last)), "COMMIT");
    script.step(Some(Condition::not(Condition::ok(committed))), "ROLLBACK");
    script.body()
}

/// What a database answered: the rows of each statement of a [`batch`].
///
/// # Errors
/// A [`Refusal`].
pub fn answer(text: &str) -> Result<Vec<Rows>, Refusal> {
    rows(batch_answer(text)?)
}

/// Whether a batch ran as it should: no step failed, but for those of which `may_fail` says so, by number and message.
///
/// # Errors
/// A [`Refusal`], of the first other step that failed.
pub(super) fn ran(text: &str, may_fail: impl Fn(usize, &str) -> bool) -> Result<(), Refusal> {
    let errors = batch_answer(text)?.step_errors.into_iter().enumerate();
    let mut failures =
        errors.filter_map(|(step, error)| error.filter(|error| !may_fail(step, &error.message)));
    failures.next().map_or(Ok(()), |error| Err(refused(error)))
}

/// `libsql://` URLs, as Turso prints them, are `https://` over HTTP. No trailing slash.
#[must_use]
pub fn http_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    url.strip_prefix("libsql://").map_or_else(|| url.to_owned(), |rest| format!("https://{rest}"))
}

// === impl Script ===

impl<'a> Script<'a> {
    /// Adds a statement whose rows nobody reads, and returns its number.
    pub(super) fn step(&mut self, condition: Option<Condition>, sql: &'a str) -> usize {
        self.push(condition, WireStatement { sql, args: Vec::new(), want_rows: false })
    }

    /// As [`Self::step`], with one argument.
    pub(super) fn step_with(&mut self, condition: Option<Condition>, sql: &'a str, integer: i64) -> usize {
        let args = vec![WireValue::Integer { value: integer.to_string().into() }];
        self.push(condition, WireStatement { sql, args, want_rows: false })
    }

    fn push(&mut self, condition: Option<Condition>, stmt: WireStatement<'a>) -> usize {
        self.steps.push(Step { condition, stmt });
        self.steps.len() - 1
    }

    /// A pipeline of these steps, on a stream of its own.
    pub(super) fn body(&self) -> String {
        let pipeline =
            Pipeline { baton: None, requests: [StreamRequest::Batch { batch: self }, StreamRequest::Close] };
        serde_json::to_string(&pipeline).expect("a pipeline has string keys and finite numbers")
    }
}

// === impl Condition ===

impl Condition {
    pub(super) fn ok(step: usize) -> Self {
        Self::Ok { step }
    }

    pub(super) fn error(step: usize) -> Self {
        Self::Error { step }
    }

    pub(super) fn not(condition: Self) -> Self {
        Self::Not { cond: Box::new(condition) }
    }

    pub(super) fn and(conditions: [Self; 2]) -> Self {
        Self::And { conds: conditions.into() }
    }

    pub(super) fn or(conditions: [Self; 2]) -> Self {
        Self::Or { conds: conditions.into() }
    }
}

// === answers ===

fn batch_answer(text: &str) -> Result<BatchAnswer, Refusal> {
    let answer: PipelineAnswer = serde_json::from_str(text).map_err(|_| Refusal::Misunderstood)?;
    match answer.results.into_iter().next() {
        Some(StreamAnswer { response: Some(response), .. }) => response.result.ok_or(Refusal::Misunderstood),
        Some(StreamAnswer { error: Some(error), .. }) => Err(refused(error)),
        _ => Err(Refusal::Misunderstood),
    }
}

/// The rows of the statements between BEGIN and COMMIT.
fn rows(answer: BatchAnswer) -> Result<Vec<Rows>, Refusal> {
    if let Some(error) = answer.step_errors.into_iter().flatten().next() {
        return Err(refused(error));
    }
    let count = answer.step_results.len().saturating_sub(3);
    let statements = answer.step_results.into_iter().skip(1).take(count);
    statements
        .map(|statement| {
            let statement = statement.ok_or(Refusal::Misunderstood)?;
            let rows = statement.rows.into_iter().map(|row| row.into_iter().map(value).collect());
            Ok(Rows {
                columns: statement.cols.into_iter().map(|column| column.name.unwrap_or_default()).collect(),
                rows: rows.collect::<Result<_, _>>()?,
                affected: statement.affected_row_count,
            })
        })
        .collect()
}

fn refused(error: SqlError) -> Refusal {
    const MISSING: [&str; 3] = ["no such table", "no such column", "has no column named"];
    if MISSING.iter().any(|missing| error.message.contains(missing)) {
        Refusal::Schema(error.message)
    } else if error.message.contains("database is locked") {
        Refusal::Busy
    } else {
        Refusal::Rejected(error.message)
    }
}

fn wire(value: &Value) -> WireValue<'_> {
    match value {
        Value::Null => WireValue::Null,
        Value::Integer(integer) => WireValue::Integer { value: integer.to_string().into() },
        Value::Real(real) => WireValue::Float { value: *real },
        Value::Text(text) => WireValue::Text { value: text.into() },
    }
}

fn value(value: WireValue<'_>) -> Result<Value, Refusal> {
    Ok(match value {
        WireValue::Null => Value::Null,
        WireValue::Integer { value } => Value::Integer(value.parse().map_err(|_| Refusal::Misunderstood)?),
        WireValue::Float { value } => Value::Real(value),
        WireValue::Text { value } => Value::Text(value.into_owned()),
        WireValue::Blob {} => return Err(Refusal::Misunderstood),
    })
}
