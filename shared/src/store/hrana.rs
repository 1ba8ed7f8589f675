//! Statements to the JSON of a Hrana 2 pipeline and rows back. Turso and `sentinel db` both speak it; the edge
//! carries it by fetch, the node by its HTTP client.
//!
//! One pipeline is one round trip: BEGIN, each statement if the one before succeeded, COMMIT, or else ROLLBACK.
//! Protocol: <https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md>.

use super::{Lock, MIGRATIONS, Rows, Statement, Value};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where a pipeline is posted, below the database's URL.
pub const PATH: &str = "/v2/pipeline";

/// Why there are no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The schema is missing or old: post [`migrations`] and ask again.
    NoSuchTable,
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
    Batch { batch: Batch<'a> },
    Sequence { sql: String },
    Close,
}

#[derive(Serialize)]
struct Batch<'a> {
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    condition: Option<Condition>,
    stmt: WireStatement<'a>,
}

/// What must hold of an earlier step for this one to run.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Condition {
    Ok { step: usize },
    Not { cond: Box<Condition> },
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
    /// None for a sequence, which answers nothing.
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
    let after = |step| Some(Condition::Ok { step });
    let mut steps = vec![Step { condition: None, stmt: control(begin) }];
    for (before, statement) in statements.iter().enumerate() {
        let args = statement.args.iter().map(wire).collect();
        steps.push(Step {
            condition: after(before),
            stmt: WireStatement { sql: statement.sql, args, want_rows: true },
        });
    }
    let commit = steps.len();
    steps.push(Step { condition: after(commit - 1), stmt: control("COMMIT") });
    let not_committed = Condition::Not { cond: Box::new(Condition::Ok { step: commit }) };
    steps.push(Step { condition: Some(not_committed), stmt: control("ROLLBACK") });
    body(StreamRequest::Batch { batch: Batch { steps } })
}

/// The body that brings the schema up to date.
#[must_use]
pub fn migrations(now: i64) -> String {
    let applied = |(version, sql): &(i64, &str)| {
        format!("{sql}\nINSERT INTO schema_migrations VALUES ({version}, {now}) ON CONFLICT DO NOTHING;\n")
    };
    body(StreamRequest::Sequence { sql: MIGRATIONS.iter().map(applied).collect() })
}

/// What a database answered: the rows of each statement of a [`batch`], nothing for [`migrations`].
///
/// # Errors
/// A [`Refusal`].
pub fn answer(text: &str) -> Result<Vec<Rows>, Refusal> {
    let answer: PipelineAnswer = serde_json::from_str(text).map_err(|_| Refusal::Misunderstood)?;
    match answer.results.into_iter().next() {
        Some(StreamAnswer { response: Some(response), .. }) => response.result.map_or(Ok(Vec::new()), rows),
        Some(StreamAnswer { error: Some(error), .. }) => Err(refused(error)),
        _ => Err(Refusal::Misunderstood),
    }
}

/// `libsql://` URLs, as Turso prints them, are `https://` over HTTP. No trailing slash.
#[must_use]
pub fn http_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    url.strip_prefix("libsql://").map_or_else(|| url.to_owned(), |rest| format!("https://{rest}"))
}

fn control(sql: &str) -> WireStatement<'_> {
    WireStatement { sql, args: Vec::new(), want_rows: false }
}

/// A pipeline of this one request, on a stream of its own.
fn body(request: StreamRequest<'_>) -> String {
    let pipeline = Pipeline { baton: None, requests: [request, StreamRequest::Close] };
    serde_json::to_string(&pipeline).expect("a pipeline has string keys and finite numbers")
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
    if error.message.contains("no such table") {
        Refusal::NoSuchTable
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
