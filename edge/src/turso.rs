//! Statements to a libSQL server and rows back: Hrana 2 over fetch, which Turso and `sentinel db` both speak.
//!
//! One pipeline is one round trip. It is sent with the runtime's own fetch, as `web_sys` has it: `worker::Fetch`
//! makes a second request object and reads answers as streams, which together cost half as much CPU again.
//!
//!  The `libsql` crate is not used here: its worker support pulls a second
//! version of the `worker` crate. Protocol:
//! <https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md>.

use crate::app::{App, now};
use futures_util::future::{Either, select};
use sentinel_shared::store::{MIGRATIONS, Rows, Statement, Transaction, Value};
use sentinel_shared::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Delay, console_error, console_log, js_sys, web_sys};

/// How long the store may take. GitHub waits 10 s for the whole answer.
const DEADLINE: Duration = Duration::from_secs(5);

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
    rows: Vec<Vec<WireValue<'static>>>,
    affected_row_count: u64,
}

/// Which lock a batch takes.
#[derive(Clone, Copy)]
enum Lock {
    /// The write lock, from the start: taking it later could meet another writer half way.
    Write,
    /// A snapshot to read from.
    Read,
}

/// Runs `transaction` whole or not at all; one [`Rows`] a statement. A database that has never been used gets
/// its schema first.
pub(crate) async fn commit(app: &App, transaction: &Transaction) -> Result<Vec<Rows>> {
    with_schema(app, batch(Lock::Write, &transaction.0)).await
}

/// Runs statements that only read, on one snapshot.
pub(crate) async fn read(app: &App, statements: &[Statement]) -> Result<Vec<Rows>> {
    with_schema(app, batch(Lock::Read, statements)).await
}

async fn with_schema(app: &App, request: StreamRequest<'_>) -> Result<Vec<Rows>> {
    let body = body(request);
    match pipeline(app, &body).await {
        Err(Failure::NoSuchTable) => {
            console_log!("store.migrate: the database is empty or old, bringing its schema up to date");
            pipeline(app, &self::body(migrations())).await.map_err(Failure::fact)?;
            pipeline(app, &body).await.map_err(Failure::fact)
        }
        answer => answer.map_err(Failure::fact),
    }
}

/// Why a pipeline failed, as far as someone must choose.
enum Failure {
    NoSuchTable,
    Refused,
    Unavailable,
    Misunderstood,
}

impl Failure {
    fn fact(self) -> Error {
        match self {
            Self::NoSuchTable | Self::Refused => Error::StoreRejected,
            Self::Unavailable => Error::StoreUnavailable,
            Self::Misunderstood => Error::StoreShape("pipeline"),
        }
    }
}

async fn pipeline(app: &App, body: &str) -> std::result::Result<Vec<Rows>, Failure> {
    let text = post(app, body).await?;
    let answer: PipelineAnswer = serde_json::from_str(&text).map_err(|_| Failure::Misunderstood)?;
    match answer.results.into_iter().next() {
        Some(StreamAnswer { response: Some(response), .. }) => response.result.map_or(Ok(Vec::new()), rows),
        Some(StreamAnswer { error: Some(error), .. }) => Err(refused(&error)),
        _ => Err(Failure::Misunderstood),
    }
}

/// Sends one pipeline and reads its answer within the deadline.
async fn post(app: &App, body: &str) -> std::result::Result<String, Failure> {
    let url = app.config.database_url().map_err(|_| Failure::Unavailable)?;
    let send = async {
        let headers = web_sys::Headers::new()?;
        headers.set("content-type", "application/json")?;
        if let Some(token) = &app.config.database_token {
            headers.set("authorization", &format!("Bearer {token}"))?;
        }
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&body.into());
        let runtime: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
        let answer = runtime.fetch_with_str_and_init(&format!("{url}/v2/pipeline"), &init);
        let response: web_sys::Response = JsFuture::from(answer).await?.unchecked_into();
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        Ok::<_, JsValue>((response.status(), text))
    };
    match select(pin!(send), Delay::from(DEADLINE)).await {
        Either::Left((Ok((200, text)), _)) => Ok(text),
        Either::Left((Ok((status, _)), _)) => {
            console_error!("store.unavailable: the database answered {status}");
            Err(Failure::Unavailable)
        }
        Either::Left((Err(error), _)) => {
            console_error!("store.unavailable: {error:?}");
            Err(Failure::Unavailable)
        }
        Either::Right(_) => {
            console_error!("store.unavailable: no answer in {} s", DEADLINE.as_secs());
            Err(Failure::Unavailable)
        }
    }
}

/// BEGIN, each statement if the one before succeeded, COMMIT; ROLLBACK if that did not happen.
fn batch(lock: Lock, statements: &[Statement]) -> StreamRequest<'_> {
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
    StreamRequest::Batch { batch: Batch { steps } }
}

fn control(sql: &str) -> WireStatement<'_> {
    WireStatement { sql, args: Vec::new(), want_rows: false }
}

fn migrations() -> StreamRequest<'static> {
    let sql = MIGRATIONS
        .iter()
        .map(|(version, sql)| {
            format!(
                "{sql}\nINSERT INTO schema_migrations VALUES ({version}, {}) ON CONFLICT DO NOTHING;\n",
                now()
            )
        })
        .collect();
    StreamRequest::Sequence { sql }
}

/// A pipeline of this one request, on a stream of its own.
fn body(request: StreamRequest<'_>) -> String {
    let pipeline = Pipeline { baton: None, requests: [request, StreamRequest::Close] };
    serde_json::to_string(&pipeline).expect("a pipeline has string keys and finite numbers")
}

/// The rows of the statements between BEGIN and COMMIT.
fn rows(answer: BatchAnswer) -> std::result::Result<Vec<Rows>, Failure> {
    if let Some(error) = answer.step_errors.iter().flatten().next() {
        return Err(refused(error));
    }
    let count = answer.step_results.len().saturating_sub(3);
    let statements = answer.step_results.into_iter().skip(1).take(count);
    statements
        .map(|statement| {
            let statement = statement.ok_or(Failure::Misunderstood)?;
            let rows = statement.rows.into_iter().map(|row| row.into_iter().map(value).collect());
            Ok(Rows {
                rows: rows.collect::<std::result::Result<_, _>>()?,
                affected: statement.affected_row_count,
            })
        })
        .collect()
}

fn refused(error: &SqlError) -> Failure {
    if error.message.contains("no such table") {
        return Failure::NoSuchTable;
    }
    console_error!("store.refused: {}", error.message);
    if error.message.contains("database is locked") { Failure::Unavailable } else { Failure::Refused }
}

fn wire(value: &Value) -> WireValue<'_> {
    match value {
        Value::Null => WireValue::Null,
        Value::Integer(integer) => WireValue::Integer { value: integer.to_string().into() },
        Value::Real(real) => WireValue::Float { value: *real },
        Value::Text(text) => WireValue::Text { value: text.into() },
    }
}

fn value(value: WireValue<'_>) -> std::result::Result<Value, Failure> {
    Ok(match value {
        WireValue::Null => Value::Null,
        WireValue::Integer { value } => Value::Integer(value.parse().map_err(|_| Failure::Misunderstood)?),
        WireValue::Float { value } => Value::Real(value),
        WireValue::Text { value } => Value::Text(value.into_owned()),
        WireValue::Blob {} => return Err(Failure::Misunderstood),
    })
}
