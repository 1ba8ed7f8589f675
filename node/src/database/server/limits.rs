//! Every limit of the database server: time, memory, rows and connections that one client may use.

use std::time::Duration;

/// The largest request. Turso's own limit for a pipeline is of this order.
pub(super) const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// The largest number of bytes of all request bodies that are held at once. Parsing a hostile body can take 30 times
/// its size.
pub(super) const BODIES_BYTES: usize = 32 * 1024 * 1024;
/// The time in which a body must arrive. Eight megabytes in ten seconds need 7 Mbit/s.
pub(super) const BODY_TIME: Duration = Duration::from_secs(10);
/// The largest number of requests in one pipeline.
pub(super) const REQUESTS_MAX: usize = 256;
/// The largest number of steps in one batch. Sentinel's longest batch has fewer than 100.
pub(super) const STEPS_MAX: usize = 10_000;
/// The largest answer, as JSON and over all its statements. Turso's limit is the same.
pub(super) const RESPONSE_BYTES: usize = 10 * 1024 * 1024;
/// The largest number of rows in one answer. A row of one NULL is 17 bytes of JSON and four times that in memory.
pub(super) const ROWS_MAX: usize = 100_000;
/// The largest number of SQL texts that a client may store on a stream.
pub(super) const STORED_SQL_MAX: usize = 128;
/// The largest size of all stored SQL texts of a stream together.
pub(super) const STORED_SQL_BYTES: usize = 1024 * 1024;
/// The longest SQL text. A dump is sent as several.
pub(super) const SQL_BYTES: i32 = 1024 * 1024;
/// The largest text, blob or row. A larger one could not be read again, because the answer is limited too.
pub(super) const VALUE_BYTES: i32 = 10 * 1024 * 1024;
/// The largest number of parameters of a statement. It is SQLite's own default.
pub(super) const PARAMETERS_MAX: i32 = 32_766;
/// The largest number of columns of a result. Each may hold a value of [`VALUE_BYTES`].
pub(super) const COLUMNS_MAX: i32 = 500;
/// The longest pattern of LIKE and GLOB. Matching takes time in the square of its length.
pub(super) const PATTERN_BYTES: i32 = 1_000;
/// The page cache of one connection in KiB, SQLite's own default. The sign is that of PRAGMA cache_size.
pub(super) const CACHE_KIB: i32 = -2_000;
/// The memory that SQLite tries to stay below over all connections, by dropping cached pages.
pub(super) const SOFT_HEAP_BYTES: usize = 128 * 1024 * 1024;
/// The memory that SQLite never exceeds. A statement that needs more fails.
pub(super) const HARD_HEAP_BYTES: usize = 384 * 1024 * 1024;
/// The number of instructions of SQLite's machine between two looks at the clock; they take about 10 microseconds.
pub(super) const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// How long a held stream may stay unused. Turso's limit is 10 s.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// How long it may stay unused while a transaction is open on it, because others may wait for its lock. libSQL's own
/// server allows 5 s.
pub(super) const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);
/// How long a transaction may stay open over several requests, however busy it is.
pub(super) const TRANSACTION_TIME: Duration = Duration::from_secs(30);
/// How long a writer waits for another. It is a little longer than a silent one may hold the lock.
pub(super) const BUSY_TIME: Duration = Duration::from_secs(6);
/// How often a server that opens a new file looks whether another has let go of it: the change takes a few milliseconds.
pub(super) const LOCK_LOOK: Duration = Duration::from_millis(10);
/// How long the migrations may run when the file is opened. Nobody is served yet, so they may take long, but not for ever.
pub(super) const MIGRATION_TIME: Duration = Duration::from_secs(600);
/// How long a request waits for its turn before it is refused.
pub(super) const TURN_TIME: Duration = Duration::from_secs(5);
/// The wait that a refused client is told, in seconds.
pub(super) const RETRY_AFTER_SECONDS: &str = "1";

/// The number of files of one connection: the database and its log. All connections share one file for shared memory.
const FILES_A_CONNECTION: usize = 2;
/// The largest number of streams that clients hold open at once. Each has its own connection.
const HELD_MAX: usize = 128;
const RUNNING_MAX: usize = 32;

/// The limits that an operator may choose.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long one statement may run.
    pub statement: Duration,
    /// How long all statements of one request may run.
    pub request: Duration,
    /// The largest number of streams that clients hold between requests.
    pub held: usize,
    /// The largest number of requests that run at once, counted separately for requests with and without a held stream.
    pub running: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement: Duration::from_secs(10),
            request: Duration::from_secs(30),
            held: HELD_MAX,
            running: RUNNING_MAX,
        }
    }
}

impl Limits {
    /// Reduces the number of streams if only this many files may be open for them.
    #[must_use]
    pub fn within(self, files: usize) -> Self {
        let connections = files / FILES_A_CONNECTION;
        let running = (connections / 4).clamp(2, self.running);
        let held = connections.saturating_sub(2 * running).clamp(2, self.held);
        Self { held, running, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_files_mean_fewer_streams_and_never_none() {
        let few = Limits::default().within(48);
        assert_eq!((few.held, few.running), (12, 6));
        let plenty = Limits::default().within(4_000);
        assert_eq!((plenty.held, plenty.running), (HELD_MAX, RUNNING_MAX));
        let none = Limits::default().within(0);
        assert_eq!((none.held, none.running), (2, 2));
    }
}
