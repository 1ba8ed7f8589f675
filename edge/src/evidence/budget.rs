//! How many calls the evidence of one delivery may cost.
//!
//! A free account's worker may make 50 calls an event, with those to the database, and may wait for six answers at a time
//! (<https://developers.cloudflare.com/workers/platform/limits/#subrequests>).

use sentinel_shared::evidence::{JOB_PAGES, LOGS_MAX};
use std::time::Duration;

/// The calls that a free account's worker may make in one event.
pub(crate) const EVENT_CALLS: usize = 50;
/// Calls for the rest of a delivery: recording it, a schema that is out of date, the model, storing the verdicts and
/// reading one back.
const OTHER_CALLS: usize = 7;
/// The calls for one log: its address and its bytes. A log that is long, whose address is over, or that was moved costs one
/// more, if there are calls to spare.
pub(super) const LOG_CALLS: usize = 2;
/// The largest number of calls to GitHub about one delivery: all pages of jobs and all logs.
pub(crate) const CALLS_MAX: usize = JOB_PAGES as usize + LOGS_MAX * LOG_CALLS;
const _: () = assert!(CALLS_MAX + OTHER_CALLS <= EVENT_CALLS);
/// The calls that come after a verdict: asking GitHub to run a failed run again, and storing its answer. They are kept from
/// what is spare, so that a run with as many logs as possible may have none of them left.
pub(crate) const RETRY_CALLS: usize = 2;
/// The calls with which a delivery that shares an event with others is begun: a page of jobs, two logs, the policy file, a
/// retry, and three to spare. If its run needs more, it waits for an event of its own.
pub(crate) const CALLS_MIN: usize = 12;
/// The largest number of jobs whose annotations are read. A run that was cancelled as a whole may have hundreds, which all
/// say the same; a job that met a limit ran for longer than the others, and those are asked first.
pub(super) const ANNOTATED_JOBS_MAX: usize = 5;
/// The logs that are read at once: one connection fewer than a worker has, for the database and other events. Each holds
/// the end of its log in memory, of which a worker has 128 MB.
const AT_ONCE: usize = 5;
/// The time limit for all evidence together. A delivery must be done well before its lease ends.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// What the evidence of one delivery may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// The largest number of calls to GitHub.
    pub(crate) calls: usize,
    /// The largest number of logs that are read at once.
    pub(crate) at_once: usize,
    /// Whether the event is shared, so that a run that needs more calls waits for an event of its own.
    pub(crate) is_shared: bool,
}

// === impl Budget ===

impl Budget {
    /// The budget of a delivery that has its event to itself.
    pub(crate) const WHOLE: Self = Self { calls: CALLS_MAX, at_once: AT_ONCE, is_shared: false };

    /// The budget of each of `count` deliveries that share `calls` calls and an event.
    pub(crate) fn shared(calls: usize, count: usize) -> Self {
        let count = count.max(1);
        let calls = (calls / count).min(CALLS_MAX);
        Self { calls, at_once: (AT_ONCE / count).max(1), is_shared: calls < CALLS_MAX }
    }
}
