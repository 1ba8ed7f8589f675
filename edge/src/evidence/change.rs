//! Reads what a pull request changes, and who owns its files. No verdict waits for long or fails because of it.

use super::log::Spare;
use super::paths;
use crate::github::{Github, Stop};
use futures_util::future::{Either, select};
use sentinel_shared::facts::Facts;
use sentinel_shared::failure::FailureRecord;
use sentinel_shared::github::pulls::{ChangedFiles, FILE_PAGES, PullOfCommit};
use sentinel_shared::history::{CODEOWNERS_BYTES_MAX, CODEOWNERS_PATHS, Change, Owners};
use std::pin::pin;
use std::time::Duration;
use worker::Delay;

/// How long all of it is waited for. The logs are read by then, and their verdict is not kept waiting.
const CHANGE_TIME: Duration = Duration::from_secs(4);

/// What is known of the files around a failed run.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// The number of the pull request whose head failed.
    pub(crate) pull: Option<u64>,
    /// The files that it changes; None if they are not known.
    files: Option<ChangedFiles>,
    /// The text of the base branch's `CODEOWNERS`.
    owners: Option<String>,
    /// Whether something was not asked or not answered.
    pub(super) is_cut: bool,
}

/// How a failed job is related to the change and to people.
#[derive(Debug, Default)]
pub(crate) struct Related {
    pub(crate) change: Option<Change>,
    /// Who owns its places, as `@login` or `@org/team`.
    pub(crate) owners: Vec<String>,
}

// === impl Surroundings ===

impl Surroundings {
    /// How a job with these facts is related to the change of `record`.
    pub(crate) fn related(&self, record: &FailureRecord, facts: &Facts) -> Related {
        let commit = record.head_sha.as_deref().unwrap_or_default();
        let change = self.files.as_ref().and_then(|files| Change::of(facts, files, commit));
        let none = ChangedFiles::default();
        let files = self.files.as_ref().unwrap_or(&none);
        let owners = self.owners.as_deref().map(|text| Owners::parse(text).of_failure(facts, files));
        Related { change, owners: owners.unwrap_or_default() }
    }
}

/// Reads what failed jobs with these `facts` can be related to, as far as there are calls to `spare`. Nothing is asked if
/// they name no place.
pub(super) async fn read(
    github: &Github<'_>,
    record: &FailureRecord,
    mut facts: impl Iterator<Item = &Facts>,
    spare: &Spare,
) -> Surroundings {
    let mut around = Surroundings::default();
    let has_place = |facts: &Facts| {
        !facts.places.is_empty() || facts.failing_tests.iter().any(|test| test.file().is_some())
    };
    if !facts.any(has_place) {
        return around;
    }
    let read = read_into(github, record, spare, &mut around);
    let ended = match select(pin!(read), Delay::from(CHANGE_TIME)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => Err(()),
    };
    around.is_cut |= ended.is_err();
    around
}

async fn read_into(
    github: &Github<'_>,
    record: &FailureRecord,
    spare: &Spare,
    around: &mut Surroundings,
) -> Result<(), ()> {
    let (pull, base) = match record.pull {
        Some(pull) => (Some(pull), record.base.clone()),
        None if is_of_pull(record) => {
            let pull = of_fork(github, record, spare).await?;
            (pull.as_ref().map(|pull| pull.number), pull.and_then(|pull| pull.base.branch))
        }
        None => (None, None),
    };
    around.pull = pull;
    if let Some(pull) = pull {
        let mut files = ChangedFiles::default();
        for page in 1..=FILE_PAGES {
            let path = paths::files(&record.repository, pull, page);
            let Some(page) = asked(spare, github.json(&path)).await? else {
                // The token may not read pull requests, or this one is gone.
                around.is_cut = true;
                break;
            };
            let has_more = files.push(page);
            around.files = Some(files.clone());
            if !has_more {
                break;
            }
        }
    }
    for path in CODEOWNERS_PATHS {
        let path = paths::file(&record.repository, path, base.as_deref());
        let Some(bytes) = asked(spare, github.file(&path, CODEOWNERS_BYTES_MAX)).await? else { continue };
        around.owners = String::from_utf8(bytes).ok();
        break;
    }
    Ok(())
}

/// The pull request whose head the run tested. GitHub's deliveries name none of a fork.
async fn of_fork(
    github: &Github<'_>,
    record: &FailureRecord,
    spare: &Spare,
) -> Result<Option<PullOfCommit>, ()> {
    let Some(commit) = record.head_sha.as_deref() else { return Ok(None) };
    let path = paths::pulls_of_commit(&record.repository, commit);
    let pulls = asked(spare, github.json(&path)).await?.unwrap_or_default();
    Ok(PullOfCommit::with_head(pulls, commit))
}

fn is_of_pull(record: &FailureRecord) -> bool {
    matches!(record.trigger.as_deref(), Some("pull_request" | "pull_request_target"))
}

/// Makes a call, if there is one to spare. What GitHub refuses or can't answer now is a missing fact and no trouble: the logs
/// are read, and the verdict does not need it.
async fn asked<T>(
    spare: &Spare,
    call: impl Future<Output = Result<Option<T>, Stop>>,
) -> Result<Option<T>, ()> {
    if !spare.take(1) {
        return Err(());
    }
    call.await.map_err(drop)
}
