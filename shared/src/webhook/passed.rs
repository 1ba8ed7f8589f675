//! A run that passed. It is stored without a verdict, because it resolves what failed before it on its branch.

/// What a delivery says about one run that passed. An absent value is `None`, never an invented one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedRun {
    /// The repository as `owner/name`.
    pub repository: String,
    /// The App installation that the delivery came through.
    pub installation_id: Option<u64>,
    /// GitHub's `workflow_run.id`. Attempts share it.
    pub run_id: u64,
    /// `workflow_run.run_attempt`, 1 when GitHub sends null.
    pub run_attempt: u32,
    /// The name of the workflow.
    pub workflow: Option<String>,
    /// The branch that the run tested, as in [`crate::failure::FailureRecord::branch`].
    pub branch: Option<String>,
    /// The repository's default branch.
    pub default_branch: Option<String>,
    /// The SHA of the commit that the run tested.
    pub head_sha: Option<String>,
    /// The event that started the run, such as `push`.
    pub trigger: Option<String>,
    /// The login of the person who started the run.
    pub author: Option<String>,
    /// The number of the first pull request that GitHub names. It names none of a fork.
    pub pull: Option<u64>,
    /// When the run ended, in Unix seconds.
    pub ended_at: Option<i64>,
}
