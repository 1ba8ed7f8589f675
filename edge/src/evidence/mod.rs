//! Asks GitHub for what a delivery lacks: the failed jobs of the attempt, their steps, the end of each one's log, and the
//! reasons why jobs were stopped from outside. Beside the logs it reads the team's policy, and after them
//! what the pull request changes.
//!
//! Everything here together has a deadline and a limit of calls. What cannot be had now is distinguished from what does
//! not exist, because only the first is worth waiting for.

mod budget;
mod change;
mod check;
mod gather;
mod log;
mod paths;
mod policy;

pub(crate) use budget::{Budget, CALLS_MIN, EVENT_CALLS, RETRY_CALLS};
pub(crate) use change::Related;
pub(crate) use check::{Check, check, may_write};
pub(crate) use gather::{Evidence, FailedJob, gather};
