//! One connection to the database file, opened in a known state and watched while it runs.
//!
//! This file decides what a client may ask of SQLite. An authorizer checks each statement while it is prepared. A
//! progress handler ends statements that run too long, have lost their client, or delay a stop.

use super::limits::*;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The stream may read and write.
    Write,
    /// The stream may only read.
    Read,
}

/// The reason why a stream runs nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The statement or its request took too long.
    Time,
    /// The client went away.
    Abandoned,
    /// The server was told to stop.
    Stop,
    /// The statement needed more memory than there is for all.
    Memory,
}

/// How long a connection may run. Other threads may change it.
pub(super) struct Watch {
    opened: Instant,
    /// When the statement must end, in milliseconds after `opened`.
    deadline_ms: AtomicU64,
    abandoned: AtomicBool,
    stopping: Arc<AtomicBool>,
}

/// Information that any client may read, with an argument or without.
const PRAGMAS_TO_READ: [&str; 17] = [
    "collation_list",
    "compile_options",
    "data_version",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// State that any client may read and no client may set.
const PRAGMAS_TO_ASK: [&str; 12] = [
    "application_id",
    "auto_vacuum",
    "busy_timeout",
    "cache_size",
    "defer_foreign_keys",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "page_size",
    "query_only",
    "synchronous",
    "user_version",
];
/// What a writer may set: its own stream's foreign keys, as migrations do, and numbers that SQLite does not read.
const PRAGMAS_TO_SET: [&str; 5] =
    ["application_id", "defer_foreign_keys", "foreign_keys", "optimize", "user_version"];
/// Virtual tables that reach nothing outside the file.
const MODULES: [&str; 4] = ["fts3", "fts4", "fts5", "rtree"];

// === impl Watch ===

impl Watch {
    pub(super) fn new(stopping: Arc<AtomicBool>) -> Self {
        let (deadline_ms, abandoned) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Self { opened: Instant::now(), deadline_ms, abandoned, stopping }
    }

    /// Lets the statement run for `time` from now on.
    pub(super) fn allow(&self, time: Duration) {
        let deadline = (self.opened.elapsed() + time).as_millis();
        self.deadline_ms.store(u64::try_from(deadline).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Marks that the client is gone.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether no client will use this connection any more.
    pub(super) fn is_lost(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed)
    }

    /// The reason why the running statement must end, if it must.
    pub(super) fn end(&self) -> Option<End> {
        if self.stopping.load(Ordering::Relaxed) {
            Some(End::Stop)
        } else if self.abandoned.load(Ordering::Relaxed) {
            Some(End::Abandoned)
        } else if self.opened.elapsed().as_millis() >= u128::from(self.deadline_ms.load(Ordering::Relaxed)) {
            Some(End::Time)
        } else {
            None
        }
    }
}

/// Opens the file for a client.
pub(super) fn open(path: &Path, access: Access, watch: &Arc<Watch>) -> rusqlite::Result<Connection> {
    let connection = match access {
        Access::Write => open_trusted(path)?,
        Access::Read => Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?,
    };
    prepare(&connection)?;
    let limits = [
        (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES),
        (Limit::SQLITE_LIMIT_COLUMN, COLUMNS_MAX),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, PARAMETERS_MAX),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ];
    for (limit, value) in limits {
        connection.set_limit(limit, value);
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let watch = Arc::clone(watch);
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || watch.end().is_some()));
    connection.authorizer(Some(move |context: AuthContext<'_>| judge(access, context.action)));
    Ok(connection)
}

/// Opens (or creates) the file for the server itself, which migrates it and keeps its shared memory alive.
pub(super) fn open_own(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_trusted(path)?;
    write_ahead(&connection)?;
    // These two are the whole process's; SQLite gives no other safe way to set them.
    connection.execute_batch(&format!(
        "PRAGMA soft_heap_limit = {SOFT_HEAP_BYTES}; PRAGMA hard_heap_limit = {HARD_HEAP_BYTES};"
    ))?;
    prepare(&connection)?;
    Ok(connection)
}

/// Changes a new file's journal to a write-ahead log. When two servers open the file at the same time, each may be in the
/// other's way, and SQLite then does not wait for the lock but fails at once.
#[expect(
    clippy::disallowed_methods,
    reason = "the server opens its file before it serves, on a thread of its own"
)]
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIME)?;
    let started = Instant::now();
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(cause)
                if cause.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && started.elapsed() < BUSY_TIME =>
            {
                std::thread::sleep(LOCK_LOOK);
            }
            done => return done,
        }
    }
}

fn open_trusted(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIME)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    // Safe against a crash of this process; a power cut may lose the last transactions, never corrupt.
    connection.execute_batch(&format!("PRAGMA synchronous = NORMAL; PRAGMA cache_size = {CACHE_KIB}"))
}

/// Decides whether a client's statement may do this.
fn judge(access: Access, action: AuthAction<'_>) -> Authorization {
    let writes = access == Access::Write;
    let allowed = match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. } => true,
        AuthAction::Function { function_name } => !function_name.eq_ignore_ascii_case("load_extension"),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let is_among = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(pragma_name));
            is_among(&PRAGMAS_TO_READ)
                || pragma_value.is_none() && is_among(&PRAGMAS_TO_ASK)
                || writes && is_among(&PRAGMAS_TO_SET)
        }
        AuthAction::CreateVtable { module_name, .. } | AuthAction::DropVtable { module_name, .. } => {
            writes && MODULES.iter().any(|module| module.eq_ignore_ascii_case(module_name))
        }
        // VACUUM attaches a file too, and VACUUM INTO writes it.
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Unknown { .. } => false,
        // What is left changes rows or the schema.
        _ => writes,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
