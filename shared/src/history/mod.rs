//! What is decided from the memory of failures: what failures have in common, who should act, which job a run is told
//! by, and what its history says to a developer.
//!
//! # In scope
//!
//! * `key`: the [`Cause`] of a failure, whose [`CauseKey`] failures with one cause share. `masked` makes the text of a line
//!   that does not change from run to run.
//! * `fault`: whether the code or the platform failed.
//! * `headline`: which of several failed jobs is the cause, and not the consequence of another.
//! * `standing`: the sentences about the past of a failure: new, seen before, failing on the default branch, flaky, fixed.
//! * `change`: whether a failure is in what a pull request changes. `owners`: whom `CODEOWNERS` names for its places.
//! * `first_line`: what a developer reads first.
//! * `known`: whether a failure is one of its team's known issues, and whether a pattern for one is too wide.
//! * `rate`: how often a test fails, where reports tell how often it runs.
//! * `flaky`, `retry` and `wish`: whether a failure passes when it is tried again, whether trying is worth it, and whether it
//!   is tried without anybody asking.
//!
//! # Out of scope
//!
//! Remembering: [`crate::store`] has the SQL. What is not known from the stored facts is not said, and nothing is said from
//! fewer observations than a named number.

mod change;
mod fault;
mod first_line;
mod flaky;
mod headline;
mod key;
mod known;
mod masked;
mod owners;
mod quote;
mod rate;
mod retry;
mod standing;
mod wish;

pub use change::{Change, Relation};
pub use fault::Fault;
pub use first_line::{Telling, first_line, standing_beside};
pub use flaky::{FLAKY_FAILURES_MIN, is_flaky};
pub use headline::{FailedJob, headline};
pub use key::{Cause, CauseKey, TESTS_IN_KEY_MAX, is_vague};
pub use known::{KNOWN_MAX, KnownIssue, KnownIssues, Matcher, NewKnown, Pattern, Said, Trial, TriedCause};
pub use owners::{CODEOWNERS_BYTES_MAX, CODEOWNERS_PATHS, OWNERS_MAX, Owners};
pub use rate::{Rate, rate};
pub use retry::{RETRIES_MIN, RetryAdvice, retry};
pub use standing::{NEW_KNOWN_MIN, Seen, Standing, StandingLine};
pub use wish::{Fallen, RetryWish, retry_wish};
