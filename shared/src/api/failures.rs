//! The memory of failures: causes, runs and tests.

use crate::history::{NewKnown, StandingLine, Trial};
use crate::store::history::causes::{CauseBranch, CauseRow};
use crate::store::history::known::KnownRow;
use crate::store::history::retries::RetryRow;
use crate::store::history::runs::{FailureRow, Recovery, RedBranch, RunRow};
use crate::store::history::tests::TestRow;
use serde::{Deserialize, Serialize};

/// The answer of `GET /api/causes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Causes {
    /// The causes, the last seen first.
    pub causes: Vec<CauseRow>,
    /// The value of `before` that continues the list; None at its end.
    pub next: Option<i64>,
}

/// The answer of `GET /api/cause`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CauseDetail {
    /// The cause.
    pub cause: CauseRow,
    /// What was known of its last failure from before, the most useful first.
    pub standing: Vec<StandingLine>,
    /// Where it occurs, the default branch first.
    pub branches: Vec<CauseBranch>,
    /// Its last failures, the newest first.
    pub failures: Vec<FailureRow>,
}

/// The answer of `GET /api/run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// The run; None if only deliveries about its jobs arrived.
    pub run: Option<RunRow>,
    /// What was known of the headline from before, the most useful first.
    pub standing: Vec<StandingLine>,
    /// The failed jobs, the headline first.
    pub failures: Vec<FailureRow>,
    /// That it was tried again without anybody asking; None if it was not.
    pub retry: Option<RetryRow>,
}

/// The answer of `GET /api/failure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureDetail {
    /// The failed job.
    pub failure: FailureRow,
    /// What was known of it from before, the most useful first.
    pub standing: Vec<StandingLine>,
    /// That its run was tried again without anybody asking; None if it was not.
    pub retry: Option<RetryRow>,
}

/// The answer of `GET /api/tests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    /// The tests, those first that passed most often when they were tried again.
    pub tests: Vec<TestRow>,
}

/// The answer of `GET /api/red`: what needs somebody now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Red {
    /// What is red on default branches, the latest first.
    pub branches: Vec<RedBranch>,
    /// How long default branches stayed red of late.
    pub recovery: Recovery,
    /// The tests that are called flaky, at most ten.
    pub flaky_tests: Vec<TestRow>,
}

/// The answer of `GET /api/known`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownList {
    /// The known issues of a repository that were made from causes' pages, the oldest first: in this order they win. Those of
    /// the policy file come before them.
    pub known: Vec<KnownRow>,
}

/// The request of `POST /api/known`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnownRequest {
    /// The repository as `owner/name`.
    pub repository: String,
    /// Whether the pattern is only tried, and not kept.
    #[serde(default)]
    pub dry_run: bool,
    /// The known issue.
    pub issue: NewKnown,
}

/// The answer of `POST /api/known`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAnswer {
    /// How many causes of the last 30 days the pattern claims.
    pub trial: Trial,
    /// Why it is too wide to be kept; None if it is not.
    pub too_wide: Option<String>,
    /// What was kept; None after a dry run.
    pub known: Option<KnownRow>,
}
