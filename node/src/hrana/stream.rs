//! One connection and the requests that run on it, in order.

use libsql::{Connection, Statement, Value as SqlValue, params::Params};
use libsql_hrana::proto::*;
use std::collections::HashMap;

/// Most bytes of rows one response carries; Turso's limit.
const RESPONSE_LIMIT_BYTES: usize = 10 * 1024 * 1024;
/// SQL texts a client may store on a stream.
const STORED_SQL_MAX: usize = 128;

pub(super) struct Stream {
    connection: Connection,
    stored_sql: HashMap<i32, String>,
    closed: bool,
}

type Answer<T> = Result<T, Error>;

impl Stream {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, stored_sql: HashMap::new(), closed: false }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The connection, unless a transaction was left open on it: dropping that one rolls back.
    pub(super) fn into_clean_connection(self) -> Option<Connection> {
        self.connection.is_autocommit().then_some(self.connection)
    }

    pub(super) async fn pipeline(mut self, requests: Vec<StreamRequest>) -> (Self, Vec<StreamResult>) {
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            results.push(match self.answer(request).await {
                Ok(response) => StreamResult::Ok { response },
                Err(error) => StreamResult::Error { error },
            });
        }
        (self, results)
    }

    /// A batch as the cursor protocol streams it.
    pub(super) async fn cursor(self, batch: Batch) -> (Self, Vec<CursorEntry>) {
        let result = self.batch(batch).await;
        let mut entries = Vec::new();
        for (step, (result, error)) in (0u32..).zip(result.step_results.into_iter().zip(result.step_errors)) {
            if let Some(result) = result {
                entries.push(CursorEntry::StepBegin(StepBeginEntry { step, cols: result.cols }));
                entries.extend(result.rows.into_iter().map(|row| CursorEntry::Row { row }));
                entries.push(CursorEntry::StepEnd(StepEndEntry {
                    affected_row_count: result.affected_row_count,
                    last_insert_rowid: result.last_insert_rowid,
                }));
            }
            if let Some(error) = error {
                entries.push(CursorEntry::StepError(StepErrorEntry { step, error }));
            }
        }
        (self, entries)
    }

    async fn answer(&mut self, request: StreamRequest) -> Answer<StreamResponse> {
        match request {
            StreamRequest::None => Err(error("unknown request type", "HRANA_PROTO_ERROR")),
            StreamRequest::Close(_) => {
                self.closed = true;
                Ok(StreamResponse::Close(CloseStreamResp {}))
            }
            StreamRequest::Execute(request) => {
                let result = self.execute(request.stmt).await?;
                Ok(StreamResponse::Execute(ExecuteStreamResp { result }))
            }
            StreamRequest::Batch(request) => {
                let result = self.batch(request.batch).await;
                Ok(StreamResponse::Batch(BatchStreamResp { result }))
            }
            StreamRequest::Sequence(request) => {
                let sql = self.sql(request.sql, request.sql_id)?;
                self.connection.execute_batch(&sql).await.map_err(|error| sql_error(&error))?;
                Ok(StreamResponse::Sequence(SequenceStreamResp {}))
            }
            StreamRequest::Describe(request) => {
                let sql = self.sql(request.sql, request.sql_id)?;
                let result = self.describe(&sql).await?;
                Ok(StreamResponse::Describe(DescribeStreamResp { result }))
            }
            StreamRequest::StoreSql(request) => {
                if self.stored_sql.len() >= STORED_SQL_MAX {
                    return Err(error("too many stored SQL texts", "SQL_STORE_FULL"));
                }
                self.stored_sql.insert(request.sql_id, request.sql);
                Ok(StreamResponse::StoreSql(StoreSqlStreamResp {}))
            }
            StreamRequest::CloseSql(request) => {
                self.stored_sql.remove(&request.sql_id);
                Ok(StreamResponse::CloseSql(CloseSqlStreamResp {}))
            }
            StreamRequest::GetAutocommit(_) => {
                let is_autocommit = self.connection.is_autocommit();
                Ok(StreamResponse::GetAutocommit(GetAutocommitStreamResp { is_autocommit }))
            }
        }
    }

    async fn batch(&self, batch: Batch) -> BatchResult {
        let mut result = BatchResult::default();
        for step in batch.steps {
            let wanted = step.condition.as_ref().is_none_or(|condition| self.holds(condition, &result));
            let (answer, failure) = match wanted {
                true => match self.execute(step.stmt).await {
                    Ok(answer) => (Some(answer), None),
                    Err(failure) => (None, Some(failure)),
                },
                false => (None, None),
            };
            result.step_results.push(answer);
            result.step_errors.push(failure);
        }
        result
    }

    fn holds(&self, condition: &BatchCond, so_far: &BatchResult) -> bool {
        match condition {
            BatchCond::None => false,
            BatchCond::Ok { step } => so_far.step_results.get(*step as usize).is_some_and(Option::is_some),
            BatchCond::Error { step } => so_far.step_errors.get(*step as usize).is_some_and(Option::is_some),
            BatchCond::Not { cond } => !self.holds(cond, so_far),
            BatchCond::And(list) => list.conds.iter().all(|cond| self.holds(cond, so_far)),
            BatchCond::Or(list) => list.conds.iter().any(|cond| self.holds(cond, so_far)),
            BatchCond::IsAutocommit {} => self.connection.is_autocommit(),
        }
    }

    async fn execute(&self, stmt: Stmt) -> Answer<StmtResult> {
        let wants_rows = stmt.want_rows.unwrap_or(true);
        let sql = self.sql(stmt.sql, stmt.sql_id)?;
        let changes_before = self.connection.total_changes();
        let statement = self.prepare(&sql).await?;
        let cols = columns(&statement);
        let params = params(stmt.args, stmt.named_args)?;
        let mut rows = statement.query(params).await.map_err(|error| sql_error(&error))?;
        let mut kept = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().await.map_err(|error| sql_error(&error))? {
            if !wants_rows {
                continue;
            }
            let values: Vec<Value> = (0..cols.len() as i32)
                .map(|column| row.get_value(column).map(wire_value).map_err(|error| sql_error(&error)))
                .collect::<Answer<_>>()?;
            bytes += values.iter().map(size_bytes).sum::<usize>();
            if bytes > RESPONSE_LIMIT_BYTES {
                return Err(error("the response is too large", "RESPONSE_TOO_LARGE"));
            }
            kept.push(Row { values });
        }
        let changed = self.connection.total_changes() > changes_before;
        Ok(StmtResult {
            cols,
            rows: kept,
            affected_row_count: if changed { self.connection.changes() } else { 0 },
            last_insert_rowid: Some(self.connection.last_insert_rowid()),
            replication_index: None,
            rows_read: 0,
            rows_written: 0,
            query_duration_ms: 0.0,
        })
    }

    async fn describe(&self, sql: &str) -> Answer<DescribeResult> {
        let statement = self.prepare(sql).await?;
        let params = (1..=statement.parameter_count() as i32)
            .map(|at| DescribeParam { name: statement.parameter_name(at).map(str::to_owned) })
            .collect();
        let cols = statement.columns();
        let cols = cols.iter().map(|col| DescribeCol {
            name: col.name().to_owned(),
            decltype: col.decl_type().map(str::to_owned),
        });
        let keyword =
            sql.trim_start().split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        Ok(DescribeResult {
            params,
            cols: cols.collect(),
            is_explain: keyword == "EXPLAIN",
            is_readonly: matches!(keyword.as_str(), "SELECT" | "EXPLAIN" | "VALUES"),
        })
    }

    async fn prepare(&self, sql: &str) -> Answer<Statement> {
        self.connection.prepare(sql).await.map_err(|error| sql_error(&error))
    }

    fn sql(&self, sql: Option<String>, sql_id: Option<i32>) -> Answer<String> {
        match (sql, sql_id) {
            (Some(sql), None) => Ok(sql),
            (None, Some(id)) => self
                .stored_sql
                .get(&id)
                .cloned()
                .ok_or_else(|| error("no SQL is stored under that id", "SQL_NOT_FOUND")),
            _ => Err(error("exactly one of sql and sql_id is needed", "HRANA_PROTO_ERROR")),
        }
    }
}

fn columns(statement: &Statement) -> Vec<Col> {
    let columns = statement.columns();
    let wire = columns.iter().map(|column| Col {
        name: Some(column.name().to_owned()),
        decltype: column.decl_type().map(str::to_owned),
    });
    wire.collect()
}

fn params(positional: Vec<Value>, named: Vec<NamedArg>) -> Answer<Params> {
    if named.is_empty() {
        return Ok(Params::Positional(positional.into_iter().map(sql_value).collect::<Answer<_>>()?));
    }
    let with_prefix =
        |name: String| if name.starts_with([':', '@', '$']) { name } else { format!(":{name}") };
    let named = named.into_iter().map(|arg| Ok((with_prefix(arg.name), sql_value(arg.value)?)));
    Ok(Params::Named(named.collect::<Answer<_>>()?))
}

fn sql_value(value: Value) -> Answer<SqlValue> {
    Ok(match value {
        Value::None => return Err(error("an argument without a type", "HRANA_PROTO_ERROR")),
        Value::Null => SqlValue::Null,
        Value::Integer { value } => SqlValue::Integer(value),
        Value::Float { value } => SqlValue::Real(value),
        Value::Text { value } => SqlValue::Text(value.to_string()),
        Value::Blob { value } => SqlValue::Blob(value.to_vec()),
    })
}

fn wire_value(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(value) => Value::Integer { value },
        SqlValue::Real(value) => Value::Float { value },
        SqlValue::Text(value) => Value::Text { value: value.into() },
        SqlValue::Blob(value) => Value::Blob { value: value.into() },
    }
}

fn size_bytes(value: &Value) -> usize {
    match value {
        Value::Text { value } => value.len(),
        Value::Blob { value } => value.len(),
        _ => 8,
    }
}

fn sql_error(cause: &libsql::Error) -> Error {
    let code = match cause {
        // SQLite's primary result code is the low byte (https://sqlite.org/rescode.html).
        libsql::Error::SqliteFailure(code, _) => match code & 0xff {
            5 => "SQLITE_BUSY",
            8 => "SQLITE_READONLY",
            13 => "SQLITE_FULL",
            19 => "SQLITE_CONSTRAINT",
            _ => "SQLITE_ERROR",
        },
        _ => "SQLITE_ERROR",
    };
    error(&cause.to_string(), code)
}

fn error(message: &str, code: &str) -> Error {
    Error { message: message.to_owned(), code: code.to_owned() }
}
