//! Tries out whether GitHub accepts the worker's token, and asks it who may write.

use super::budget::{CALLS_MIN, DEADLINE};
use super::paths;
use crate::config::Config;
use crate::github::{Github, Stop, away, dismiss};
use futures_util::future::{Either, select};
use sentinel_shared::Error;
use sentinel_shared::evidence::{GithubStanding, Trouble};
use sentinel_shared::failure::Subject;
use sentinel_shared::github::answer::Meaning;
use sentinel_shared::github::{JobsPage, WorkflowJob};
use std::pin::pin;
use worker::Delay;

/// The result of trying to read the log of one failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The worker has no token.
    NoToken,
    /// Logs can be read.
    Works,
    /// The token is accepted, but there is no run yet to try it on.
    Untried,
    /// The token does not see the run. It belongs to another repository, or it was deleted.
    Absent,
    /// The token lacks a permission.
    Refused,
    /// GitHub gives nothing now.
    Trouble(Trouble),
}

// === impl Check ===

impl Check {
    /// The result as the API says it.
    pub(crate) fn standing(self) -> GithubStanding {
        match self {
            Self::NoToken => GithubStanding::NoToken,
            Self::Works => GithubStanding::Works,
            Self::Untried => GithubStanding::Untried,
            Self::Absent => GithubStanding::Absent,
            Self::Refused => GithubStanding::Refused,
            Self::Trouble(trouble) => trouble.standing(),
        }
    }
}

/// Tries to read the log of the last failed run or job. Without one, it only tries the token.
pub(crate) async fn check(config: &Config, last: Option<(&str, &str)>) -> Check {
    let Some(github) = Github::of(config, CALLS_MIN) else { return Check::NoToken };
    match select(pin!(check_with(&github, last)), Delay::from(DEADLINE)).await {
        Either::Left((Ok(check), _)) => check,
        Either::Left((Err(Stop::Trouble(trouble)), _)) => Check::Trouble(trouble),
        Either::Left((Err(Stop::CallsSpent), _)) | Either::Right(_) => Check::Trouble(Trouble::Away(None)),
    }
}

/// Whether `login` may write to `repository`; false if there is no token to ask with.
///
/// # Errors
/// [`Error::GithubUnavailable`] when trying again later may tell.
pub(crate) async fn may_write(config: &Config, repository: &str, login: &str) -> Result<bool, Error> {
    #[derive(serde::Deserialize)]
    struct Permission {
        permission: String,
    }
    let Some(github) = Github::of(config, 1) else { return Ok(false) };
    let path = format!("/repos/{repository}/collaborators/{login}/permission");
    match select(pin!(github.json::<Permission>(&path)), Delay::from(DEADLINE)).await {
        // `maintain` is told as `write` here.
        Either::Left((answer, _)) => {
            Ok(answer?.is_some_and(|answer| matches!(answer.permission.as_str(), "admin" | "write")))
        }
        Either::Right(_) => Err(Error::GithubUnavailable("no answer in time")),
    }
}

async fn check_with(github: &Github<'_>, last: Option<(&str, &str)>) -> Result<Check, Stop> {
    let Some((repository, subject)) = last else {
        // Costs nothing of what GitHub allows.
        github.ask("/rate_limit").await?;
        return Ok(Check::Untried);
    };
    let found = |meaning| match meaning {
        Meaning::Done => None,
        Meaning::Refused => Some(Check::Refused),
        _ => Some(Check::Absent),
    };
    let job = match Subject::parse(subject) {
        Some(Subject::Run { run_id, run_attempt }) => {
            let path = paths::jobs(repository, run_id, run_attempt, 1);
            let (meaning, mut response) = github.ask(&path).await?;
            if let Some(check) = found(meaning) {
                return Ok(check);
            }
            let page: JobsPage = response.json().await.map_err(|_| away("an answer of another shape"))?;
            page.jobs.into_iter().find(WorkflowJob::has_failed).and_then(|job| job.id)
        }
        Some(Subject::Job { job_id, .. }) => Some(job_id),
        None => None,
    };
    let Some(job) = job else { return Ok(Check::Untried) };
    let (meaning, response) = github.ask(&paths::log(repository, job)).await?;
    dismiss(response);
    // A log that is gone is no fault of the token: it told which job failed.
    Ok(if meaning == Meaning::Refused { Check::Refused } else { Check::Works })
}
