//! One connection and the requests that run on it, in order.

use super::connection::{self, Access, End, Watch};
use super::limits::{Limits, STEPS_MAX, STORED_SQL_BYTES, STORED_SQL_MAX};
use super::wire::{self, Answer, Room};
use libsql_hrana::proto::*;
use rusqlite::{Batch as Statements, Connection, ErrorCode, Statement};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// The requests of a client on one connection, which no other client ever gets.
pub(super) struct Stream {
    connection: Connection,
    access: Access,
    watch: Arc<Watch>,
    limits: Limits,
    stored_sql: HashMap<i32, String>,
    transaction_since: Option<Instant>,
    state: State,
    /// A place for a stream that is held between requests; None if the first request ends the stream.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Closed,
    /// A statement was ended. Nothing more runs, because SQLite may have rolled back earlier statements.
    Cut(End),
}

// === impl Stream ===

impl Stream {
    pub(super) fn open(
        path: &Path,
        access: Access,
        watch: Arc<Watch>,
        limits: Limits,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            connection: connection::open(path, access, &watch)?,
            access,
            watch,
            limits,
            stored_sql: HashMap::new(),
            transaction_since: None,
            state: State::Open,
            place: None,
        })
    }

    /// Whether the client may continue with it.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The time since which a transaction is open between requests.
    pub(super) fn transaction_since(&mut self) -> Option<Instant> {
        self.transaction_since = match self.connection.is_autocommit() {
            true => None,
            false => self.transaction_since.or_else(|| Some(Instant::now())),
        };
        self.transaction_since
    }

    pub(super) fn pipeline(&mut self, requests: Vec<StreamRequest>) -> Vec<StreamResult> {
        let (ends, mut room) = (Instant::now() + self.limits.request, Room::default());
        let answers = requests.into_iter().map(|request| match self.answer(request, ends, &mut room) {
            Ok(response) => StreamResult::Ok { response },
            Err(error) => StreamResult::Error { error },
        });
        answers.collect()
    }

    /// Runs a batch and returns its entries as the cursor protocol streams them.
    pub(super) fn cursor(&mut self, batch: Batch) -> Vec<CursorEntry> {
        let (ends, mut room) = (Instant::now() + self.limits.request, Room::default());
        let result = match self.batch(batch, ends, &mut room) {
            Ok(result) => result,
            Err(error) => return vec![CursorEntry::Error { error }],
        };
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
        entries
    }

    fn answer(&mut self, request: StreamRequest, ends: Instant, room: &mut Room) -> Answer<StreamResponse> {
        match request {
            StreamRequest::None => Err(wire::error("unknown request type", "HRANA_PROTO_ERROR")),
            StreamRequest::Close(_) => {
                self.state = State::Closed;
                Ok(StreamResponse::Close(CloseStreamResp {}))
            }
            StreamRequest::Execute(request) => {
                let result = self.execute(request.stmt, ends, room)?;
                Ok(StreamResponse::Execute(ExecuteStreamResp { result }))
            }
            StreamRequest::Batch(request) => {
                let result = self.batch(request.batch, ends, room)?;
                Ok(StreamResponse::Batch(BatchStreamResp { result }))
            }
            StreamRequest::Sequence(request) => {
                let sql = self.sql(request.sql, request.sql_id)?;
                self.begin(ends)?;
                self.sequence(&sql, ends).map_err(|cause| self.failed(&cause))?;
                Ok(StreamResponse::Sequence(SequenceStreamResp {}))
            }
            StreamRequest::Describe(request) => {
                let sql = self.sql(request.sql, request.sql_id)?;
                self.begin(ends)?;
                let result = wire::description(&self.only_statement(&sql)?);
                Ok(StreamResponse::Describe(DescribeStreamResp { result }))
            }
            StreamRequest::StoreSql(request) => {
                self.store_sql(request)?;
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

    fn batch(&mut self, batch: Batch, ends: Instant, room: &mut Room) -> Answer<BatchResult> {
        if batch.steps.len() > STEPS_MAX {
            return Err(wire::error(&format!("at most {STEPS_MAX} steps a batch"), "BATCH_TOO_LONG"));
        }
        let mut result = BatchResult::default();
        for step in batch.steps {
            let wanted = step.condition.as_ref().is_none_or(|condition| self.holds(condition, &result));
            let (answer, failure) = match wanted.then(|| self.execute(step.stmt, ends, room)) {
                Some(Ok(answer)) => (Some(answer), None),
                Some(Err(failure)) => (None, Some(failure)),
                None => (None, None),
            };
            result.step_results.push(answer);
            result.step_errors.push(failure);
        }
        Ok(result)
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

    fn execute(&mut self, stmt: Stmt, ends: Instant, room: &mut Room) -> Answer<StmtResult> {
        let wants_rows = stmt.want_rows.unwrap_or(true);
        let sql = self.sql(stmt.sql, stmt.sql_id)?;
        self.begin(ends)?;
        let changes_before = self.total_changes();
        let mut statement = self.only_statement(&sql)?;
        wire::bind(&mut statement, stmt.args, stmt.named_args)?;
        let cols = wire::columns(&statement);
        room.take_columns(&cols)?;
        let width = cols.len();
        let mut kept = Vec::new();
        let mut rows = statement.raw_query();
        let failure = loop {
            match rows.next() {
                Ok(Some(_)) if !wants_rows => {}
                Ok(Some(row)) => match room.take_row(row, width) {
                    Ok(row) => kept.push(row),
                    Err(error) => return Err(error),
                },
                Ok(None) => break None,
                Err(cause) => break Some(cause),
            }
        };
        drop(rows);
        drop(statement);
        if let Some(cause) = failure {
            return Err(self.failed(&cause));
        }
        let changed = self.total_changes() > changes_before;
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

    /// Runs each statement of `sql` to its end.
    fn sequence(&self, sql: &str, ends: Instant) -> rusqlite::Result<()> {
        let mut statements = Statements::new(&self.connection, sql);
        while let Some(mut statement) = statements.next()? {
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            self.allow(ends);
        }
        Ok(())
    }

    /// Prepares `sql`, which must be one statement. A second one would be ignored silently.
    fn only_statement(&self, sql: &str) -> Answer<Statement<'_>> {
        let mut statements = Statements::new(&self.connection, sql);
        let first = statements.next().map_err(|cause| wire::sql_error(&cause))?;
        let first =
            first.ok_or_else(|| wire::error("there is no statement in this SQL", "SQL_NO_STATEMENT"))?;
        match statements.next() {
            Ok(None) => Ok(first),
            _ => {
                Err(wire::error("more than one statement: send a batch or a sequence", "SQL_MANY_STATEMENTS"))
            }
        }
    }

    /// Refuses if an earlier statement was ended, and gives the next one its time.
    fn begin(&mut self, ends: Instant) -> Answer<()> {
        if let State::Cut(end) = self.state {
            return Err(self.ended(end));
        }
        self.allow(ends);
        if let Some(end) = self.watch.end() {
            self.state = State::Cut(end);
            return Err(self.ended(end));
        }
        Ok(())
    }

    fn allow(&self, ends: Instant) {
        self.watch.allow(self.limits.statement.min(ends.saturating_duration_since(Instant::now())));
    }

    /// The answer to a failed statement. Ends the stream if SQLite may have rolled back by itself.
    fn failed(&mut self, cause: &rusqlite::Error) -> Error {
        if wire::code(cause) == Some(ErrorCode::OperationInterrupted) {
            let end = self.watch.end().unwrap_or(End::Time);
            self.state = State::Cut(end);
            return self.ended(end);
        }
        if wire::code(cause) == Some(ErrorCode::OutOfMemory) {
            self.state = State::Cut(End::Memory);
        }
        wire::sql_error(cause)
    }

    fn ended(&self, end: End) -> Error {
        let seconds = self.limits.statement.as_secs_f32();
        let request = self.limits.request.as_secs_f32();
        match end {
            End::Time => wire::error(
                &format!(
                    "ended: over {seconds} s a statement or {request} s a request; the stream is closed"
                ),
                "SQLITE_INTERRUPT",
            ),
            End::Abandoned => wire::error("ended: nobody waits for the answer", "SQLITE_INTERRUPT"),
            End::Stop => wire::error("ended: the server stops", "SQLITE_INTERRUPT"),
            End::Memory => {
                wire::error("not run: an earlier statement needed too much memory", "SQLITE_NOMEM")
            }
        }
    }

    /// The number of rows changed on this connection. It distinguishes a statement that changed none from an earlier
    /// one that did.
    fn total_changes(&self) -> i64 {
        let count = self.connection.prepare_cached("SELECT total_changes()");
        count.and_then(|mut count| count.query_row([], |row| row.get(0))).unwrap_or_default()
    }

    fn store_sql(&mut self, request: StoreSqlStreamReq) -> Answer<()> {
        let others = self.stored_sql.iter().filter(|(id, _)| **id != request.sql_id);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), (_, sql)| (count + 1, bytes + sql.len()));
        if count >= STORED_SQL_MAX || bytes + request.sql.len() > STORED_SQL_BYTES {
            let most = format!("at most {STORED_SQL_MAX} SQL texts of {STORED_SQL_BYTES} bytes are stored");
            return Err(wire::error(&most, "SQL_STORE_FULL"));
        }
        self.stored_sql.insert(request.sql_id, request.sql);
        Ok(())
    }

    fn sql(&self, sql: Option<String>, sql_id: Option<i32>) -> Answer<String> {
        let sql = match (sql, sql_id) {
            (Some(sql), None) => sql,
            (None, Some(id)) => self
                .stored_sql
                .get(&id)
                .cloned()
                .ok_or_else(|| wire::error("no SQL is stored under that id", "SQL_NOT_FOUND"))?,
            _ => return Err(wire::error("exactly one of sql and sql_id is needed", "HRANA_PROTO_ERROR")),
        };
        if sql.contains('\0') {
            // SQLite would stop reading there.
            return Err(wire::error("SQL has no NUL character", "SQL_PARSE_ERROR"));
        }
        Ok(sql)
    }
}
