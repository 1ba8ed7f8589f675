//! Statements to a libSQL server and rows back: Hrana 2 over fetch, which Turso and `sentinel db` both speak.
//!
//! One pipeline is one round trip. The `libsql` crate is not used here: its worker support pulls a second
//! version of the `worker` crate. Protocol:
//! <https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md>.

use crate::app::{App, now};
use futures_util::future::{Either, select};
use sentinel_shared::store::{MIGRATIONS, Rows, Statement, Transaction, Value};
use sentinel_shared::{Error, Result};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::pin::pin;
use std::time::Duration;
use worker::{Delay, Fetch, Headers, Method, Request, RequestInit, console_error, console_log};

/// How long the store may take. GitHub waits 10 s for the whole answer.
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct PipelineAnswer {
    results: Vec<StreamAnswer>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamAnswer {
    Ok { response: Json },
    Error { error: SqlError },
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
    rows: Vec<Vec<WireValue>>,
    affected_row_count: u64,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireValue {
    Null,
    Integer { value: String },
    Float { value: f64 },
    Text { value: String },
    Blob {},
}

/// Runs `transaction` whole or not at all; one [`Rows`] a statement. A database that has never been used gets
/// its schema first.
pub(crate) async fn commit(app: &App, transaction: &Transaction) -> Result<Vec<Rows>> {
    with_schema(app, &batch(&transaction.0)).await
}

/// Runs statements that only read.
pub(crate) async fn read(app: &App, statements: &[Statement]) -> Result<Vec<Rows>> {
    commit(app, &Transaction(statements.to_vec())).await
}

async fn with_schema(app: &App, body: &Json) -> Result<Vec<Rows>> {
    match pipeline(app, body).await {
        Err(Failure::NoSuchTable) => {
            console_log!("store.migrate: the database is empty or old, bringing its schema up to date");
            pipeline(app, &migrations()).await.map_err(Failure::fact)?;
            pipeline(app, body).await.map_err(Failure::fact)
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

async fn pipeline(app: &App, body: &Json) -> std::result::Result<Vec<Rows>, Failure> {
    let text = post(app, body).await?;
    let answer: PipelineAnswer = serde_json::from_str(&text).map_err(|_| Failure::Misunderstood)?;
    match answer.results.into_iter().next() {
        Some(StreamAnswer::Ok { response }) => rows(&response),
        Some(StreamAnswer::Error { error }) => Err(refused(&error)),
        None => Err(Failure::Misunderstood),
    }
}

/// Sends one pipeline and reads its answer within the deadline.
async fn post(app: &App, body: &Json) -> std::result::Result<String, Failure> {
    let url = app.config.database_url().map_err(|_| Failure::Unavailable)?;
    let send = async {
        let headers = Headers::new();
        headers.set("content-type", "application/json")?;
        if let Some(token) = &app.config.database_token {
            headers.set("authorization", &format!("Bearer {token}"))?;
        }
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_headers(headers).with_body(Some(body.to_string().into()));
        let mut response =
            Fetch::Request(Request::new_with_init(&format!("{url}/v2/pipeline"), &init)?).send().await?;
        Ok::<_, worker::Error>((response.status_code(), response.text().await?))
    };
    match select(pin!(send), Delay::from(DEADLINE)).await {
        Either::Left((Ok((200, text)), _)) => Ok(text),
        Either::Left((Ok((status, _)), _)) => {
            console_error!("store.unavailable: the database answered {status}");
            Err(Failure::Unavailable)
        }
        Either::Left((Err(error), _)) => {
            console_error!("store.unavailable: {error}");
            Err(Failure::Unavailable)
        }
        Either::Right(_) => {
            console_error!("store.unavailable: no answer in {} s", DEADLINE.as_secs());
            Err(Failure::Unavailable)
        }
    }
}

/// BEGIN, each statement if the one before succeeded, COMMIT; ROLLBACK if that did not happen.
fn batch(statements: &[Statement]) -> Json {
    let mut steps = vec![json!({ "stmt": { "sql": "BEGIN IMMEDIATE", "want_rows": false } })];
    for (before, statement) in statements.iter().enumerate() {
        let args: Vec<Json> = statement.args.iter().map(wire).collect();
        steps.push(json!({ "condition": { "type": "ok", "step": before }, "stmt": { "sql": statement.sql, "args": args } }));
    }
    let last = steps.len() - 1;
    let commit = last + 1;
    steps.push(json!({ "condition": { "type": "ok", "step": last }, "stmt": { "sql": "COMMIT", "want_rows": false } }));
    steps.push(json!({
        "condition": { "type": "not", "cond": { "type": "ok", "step": commit } },
        "stmt": { "sql": "ROLLBACK", "want_rows": false },
    }));
    one_request(&json!({ "type": "batch", "batch": { "steps": steps } }))
}

fn migrations() -> Json {
    let sql: String = MIGRATIONS
        .iter()
        .map(|(version, sql)| {
            format!(
                "{sql}\nINSERT INTO schema_migrations VALUES ({version}, {}) ON CONFLICT DO NOTHING;\n",
                now()
            )
        })
        .collect();
    one_request(&json!({ "type": "sequence", "sql": sql }))
}

fn one_request(request: &Json) -> Json {
    json!({ "baton": null, "requests": [request, { "type": "close" }] })
}

/// The rows of the statements between BEGIN and COMMIT.
fn rows(response: &Json) -> std::result::Result<Vec<Rows>, Failure> {
    let Some(result) = response.get("result") else { return Ok(Vec::new()) };
    let answer = BatchAnswer::deserialize(result).map_err(|_| Failure::Misunderstood)?;
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

fn wire(value: &Value) -> Json {
    match value {
        Value::Null => json!({ "type": "null" }),
        Value::Integer(integer) => json!({ "type": "integer", "value": integer.to_string() }),
        Value::Real(real) => json!({ "type": "float", "value": real }),
        Value::Text(text) => json!({ "type": "text", "value": text }),
    }
}

fn value(value: WireValue) -> std::result::Result<Value, Failure> {
    Ok(match value {
        WireValue::Null => Value::Null,
        WireValue::Integer { value } => Value::Integer(value.parse().map_err(|_| Failure::Misunderstood)?),
        WireValue::Float { value } => Value::Real(value),
        WireValue::Text { value } => Value::Text(value),
        WireValue::Blob {} => return Err(Failure::Misunderstood),
    })
}
