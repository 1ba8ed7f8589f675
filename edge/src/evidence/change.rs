//! Reads what a pull request changes, and who owns its files. No verdict waits for long or fails because of it.

use super::log::Spare;
use super::paths;
use crate::github::{Github, Stop};
use futures_util::future::{Either, select};
use sentinel_shared::facts::Facts;
use sentinel_shared::failure::{FailureRecord, is_of_pull};
use sentinel_shared::github::pulls::{ChangedFiles, FILE_PAGES, PullOfCommit};
use sentinel_shared::history::{CODEOWNERS_BYTES_MAX, CODEOWNERS_PATHS, Change, Owners};
use std::pin::pin;
use std::time::Duration;
use worker::Delay;

/// How long all of it is waited for. The logs are read by then, and their verdict is not kept waiting.
const CHANGE_TIME: Duration = Duration::from_secs(4);

/// The files of a change that is not known.
const NO_FILES: &ChangedFiles = &ChangedFiles { files: Vec::new(), is_whole: false };

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
    /// Tells of the facts of a job how it is related to the change of `record`. `CODEOWNERS` is parsed once for all jobs.
    pub(crate) fn relating(&self, record: &FailureRecord) -> impl Fn(&Facts) -> Related {
        let commit = record.head_sha.as_deref().unwrap_or_default();
        let owners = self.owners.as_deref().map(Owners::parse).unwrap_or_default();
        move |facts| Related {
            change: self.files.as_ref().and_then(|files| Change::of(facts, files, commit)),
            owners: owners.of_failure(facts, self.files.as_ref().unwrap_or(NO_FILES)),
        }
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
        None if is_of_pull(record.trigger.as_deref()) => {
            let pull = of_fork(github, record, spare).await?;
            (pull.as_ref().map(|pull| pull.number), pull.and_then(|pull| pull.base.branch))
        }
        None => (None, None),
    };
    around.pull = pull;
    if let Some(pull) = pull {
        for page in 1..=FILE_PAGES {
            let path = paths::files(&record.repository, pull, page);
            let Some(page) = asked(spare, github.json(&path)).await? else {
                // The token may not read pull requests, or this one is gone.
                around.is_cut = true;
                break;
            };
            if !around.files.get_or_insert_default().push(page) {
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
