//! Converts values, columns and errors between Hrana and SQLite. The size of an answer is counted before anything is
//! copied.

use super::limits::{RESPONSE_BYTES, ROWS_MAX};
use libsql_hrana::proto::*;
use rusqlite::types::{Null, ValueRef};
use rusqlite::{ErrorCode, Statement};

/// The remaining size of an answer.
pub(super) struct Room {
    bytes: usize,
    rows: usize,
}

pub(super) type Answer<T> = Result<T, Error>;

/// The bytes of JSON around a row, a value and a column: brackets, quotes, the type's name.
const ROW_BYTES: usize = 3;
const VALUE_BYTES: usize = 36;
const COLUMN_BYTES: usize = 32;
/// The bytes of `\u0000`, the longest escape of one byte in JSON.
const ESCAPE_BYTES: usize = 6;
/// The bytes of the replacement of a byte that is not UTF-8.
const REPLACED_BYTES: usize = 3;

// === impl Room ===

impl Default for Room {
    fn default() -> Self {
        Self { bytes: RESPONSE_BYTES, rows: ROWS_MAX }
    }
}

impl Room {
    pub(super) fn take_columns(&mut self, columns: &[Col]) -> Answer<()> {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let sizes = columns.iter().map(|column| COLUMN_BYTES + text(&column.name) + text(&column.decltype));
        self.take(sizes.sum())
    }

    /// Takes a row's values if there is room for all of them.
    pub(super) fn take_row(&mut self, row: &rusqlite::Row<'_>, width: usize) -> Answer<Row> {
        self.rows = self
            .rows
            .checked_sub(1)
            .ok_or_else(|| error(&format!("the answer has over {ROWS_MAX} rows"), "RESPONSE_TOO_LARGE"))?;
        let cells = || (0..width).map(|column| row.get_ref(column).map_err(|cause| sql_error(&cause)));
        let mut bytes = ROW_BYTES;
        for cell in cells() {
            bytes += json_bytes(cell?);
        }
        self.take(bytes)?;
        Ok(Row { values: cells().map(|cell| cell.map(value)).collect::<Answer<_>>()? })
    }

    fn take(&mut self, bytes: usize) -> Answer<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            let limit = RESPONSE_BYTES / (1024 * 1024);
            error(&format!("the response is too large: over {limit} MiB"), "RESPONSE_TOO_LARGE")
        })?;
        Ok(())
    }
}

/// The columns of a statement's rows.
pub(super) fn columns(statement: &Statement<'_>) -> Vec<Col> {
    let columns = statement.columns();
    let wire = columns.iter().map(|column| Col {
        name: Some(column.name().to_owned()),
        decltype: column.decl_type().map(str::to_owned),
    });
    wire.collect()
}

/// The parameters and columns of a statement.
pub(super) fn description(statement: &Statement<'_>) -> DescribeResult {
    let params = (1..=statement.parameter_count())
        .map(|at| DescribeParam { name: statement.parameter_name(at).map(str::to_owned) });
    let cols = columns(statement)
        .into_iter()
        .map(|col| DescribeCol { name: col.name.unwrap_or_default(), decltype: col.decltype });
    DescribeResult {
        params: params.collect(),
        cols: cols.collect(),
        is_explain: statement.is_explain() != 0,
        is_readonly: statement.readonly(),
    }
}

/// Binds the arguments of a statement. Numbered ones come first. A name without a prefix is tried with each prefix.
pub(super) fn bind(statement: &mut Statement<'_>, args: Vec<Value>, named: Vec<NamedArg>) -> Answer<()> {
    if args.len() > statement.parameter_count() {
        return Err(error("there are more arguments than parameters", "ARGS_INVALID"));
    }
    for (at, value) in (1..).zip(args) {
        bind_one(statement, at, &value)?;
    }
    for NamedArg { name, value } in named {
        let at = match name.starts_with([':', '@', '$']) {
            true => parameter(statement, &name)?,
            false => {
                let mut with_prefix = [":", "@", "$"].iter().map(|prefix| format!("{prefix}{name}"));
                with_prefix.find_map(|name| parameter(statement, &name).transpose()).transpose()?
            }
        };
        // A name that the statement does not have is let through, as SQLite's own clients do.
        if let Some(at) = at {
            bind_one(statement, at, &value)?;
        }
    }
    Ok(())
}

fn parameter(statement: &Statement<'_>, name: &str) -> Answer<Option<usize>> {
    statement.parameter_index(name).map_err(|cause| sql_error(&cause))
}

fn bind_one(statement: &mut Statement<'_>, at: usize, value: &Value) -> Answer<()> {
    let bound = match value {
        Value::None => return Err(error("an argument without a type", "HRANA_PROTO_ERROR")),
        Value::Null => statement.raw_bind_parameter(at, Null),
        Value::Integer { value } => statement.raw_bind_parameter(at, value),
        Value::Float { value } => statement.raw_bind_parameter(at, value),
        Value::Text { value } => statement.raw_bind_parameter(at, &**value),
        Value::Blob { value } => statement.raw_bind_parameter(at, &**value),
    };
    bound.map_err(|cause| sql_error(&cause))
}

/// An upper bound of the bytes of the value's JSON.
fn json_bytes(cell: ValueRef<'_>) -> usize {
    let content = match cell {
        ValueRef::Text(text) => {
            let escaped = text.iter().filter(|byte| byte.is_ascii_control() || matches!(byte, b'"' | b'\\'));
            let replaced = if std::str::from_utf8(text).is_ok() { 1 } else { REPLACED_BYTES };
            text.len() * replaced + escaped.count() * (ESCAPE_BYTES - 1)
        }
        ValueRef::Blob(blob) => blob.len().div_ceil(3) * 4,
        _ => 0,
    };
    content + VALUE_BYTES
}

fn value(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer { value },
        ValueRef::Real(value) => Value::Float { value },
        ValueRef::Text(value) => Value::Text { value: String::from_utf8_lossy(value).into() },
        ValueRef::Blob(value) => Value::Blob { value: value.to_vec().into() },
    }
}

/// SQLite's primary result code (<https://sqlite.org/rescode.html>).
pub(super) fn code(cause: &rusqlite::Error) -> Option<ErrorCode> {
    match cause {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        _ => cause.sqlite_error_code(),
    }
}

/// Turns an error of SQLite into an answer. The statement's text is not repeated.
pub(super) fn sql_error(cause: &rusqlite::Error) -> Error {
    let code = match code(cause) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "SQLITE_BUSY",
        Some(ErrorCode::ReadOnly) => "SQLITE_READONLY",
        Some(ErrorCode::DiskFull) => "SQLITE_FULL",
        Some(ErrorCode::ConstraintViolation) => "SQLITE_CONSTRAINT",
        Some(ErrorCode::AuthorizationForStatementDenied) => "SQLITE_AUTH",
        Some(ErrorCode::OutOfMemory) => "SQLITE_NOMEM",
        Some(ErrorCode::TooBig) => "SQLITE_TOOBIG",
        _ => "SQLITE_ERROR",
    };
    let message = match cause {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    match code {
        "SQLITE_AUTH" => {
            error(&format!("{message}: this server allows it to no client, or not to this token"), code)
        }
        _ => error(&message, code),
    }
}

pub(super) fn error(message: &str, code: &str) -> Error {
    Error { message: message.to_owned(), code: code.to_owned() }
}
