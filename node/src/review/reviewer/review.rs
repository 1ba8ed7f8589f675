//! The review of a pull request: it is read, its hunks are scored, and the result is posted.

use super::Reviewer;
use super::claim::Claim;
use super::end::{End, Stop};
use crate::operate::faults::{Step, reach};
use crate::review::github::{Access, JobError, PullFile, Said};
use sentinel_shared::github::PullRequest;
use sentinel_shared::policy;
use sentinel_shared::review::plan::{ChangedFile, Plan};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::{ReviewJob, render};
use sentinel_shared::store::jobs::ReviewResult;
use sentinel_shared::store::leases::{self, Leased};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// The time limit of one job. What is not reviewed by then is skipped, and the summary says so.
const JOB_TIME: Duration = Duration::from_secs(600);
/// The part of that time that is kept for posting.
const POSTING_TIME: Duration = Duration::from_secs(120);

/// A pull request under review, as it was when its job began.
pub(super) struct PullReview<'a> {
    pub(super) claim: Claim<'a>,
    pub(super) policy: Policy,
    pub(super) files: Vec<PullFile>,
    /// Our earlier inline comments.
    pub(super) comments: Vec<Said>,
    head_sha: String,
    /// The number of files that it changes. GitHub lists fewer for a large pull request.
    changed_files: u64,
}

impl Reviewer {
    /// Reviews a pull request.
    ///
    /// 1. Ask what it is now: closed, a draft, or ahead of the job?
    /// 2. Read the policy on its base.
    /// 3. Read its files.
    /// 4. Read what we said before, so that nothing is said twice.
    /// 5. Score its hunks and choose; store the result.
    /// 6. Post it, in [`super::post`].
    pub(super) async fn review(&self, job: &Leased) -> Result<End, Stop> {
        let deadline = Instant::now() + JOB_TIME - POSTING_TIME;
        // (1) to (4)
        let review = PullReview::read(Claim::of(self, job).await?).await?;
        // (5)
        let result = review.result(deadline).await?;
        // (6)
        review.post(&result).await
    }
}

impl<'a> PullReview<'a> {
    async fn read(claim: Claim<'a>) -> Result<Self, Stop> {
        let (job, access) = (claim.job, &claim.access);
        // (1)
        let pull = access.pull(job.number).await?;
        reach(Step::PullRead).await;
        if pull.state.as_deref() != Some("open") {
            return Err(Stop::End(End::Skipped("the pull request is closed")));
        }
        if job.head_sha.as_ref().is_some_and(|asked| *asked != pull.head.sha) {
            return Err(Stop::End(superseded(job, pull)));
        }
        // (2)
        let policy = read_policy(access, &pull.base.sha).await?;
        reach(Step::PolicyRead).await;
        if !policy.enabled {
            return Err(Stop::End(End::Skipped("the policy says no reviews")));
        }
        if pull.draft && !policy.drafts {
            return Err(Stop::End(End::Skipped("the pull request is a draft")));
        }
        // (3)
        let files = access.files(job.number).await?;
        reach(Step::FilesRead).await;
        // (4)
        let comments = access.own_comments(job.number).await?;
        reach(Step::CommentsRead).await;
        let (head_sha, changed_files) = (pull.head.sha, pull.changed_files);
        Ok(Self { claim, policy, files, comments, head_sha, changed_files })
    }

    /// What an earlier try found in this commit and stored; else it is found now, and stored before it is posted.
    async fn result(&self, deadline: Instant) -> Result<ReviewResult, Stop> {
        let Claim { reviewer, job, .. } = self.claim;
        let kept = job.result.as_ref().filter(|result| result.head_sha == self.head_sha).cloned();
        let result = match kept {
            Some(result) => result,
            None => {
                let result = self.score(deadline).await?;
                let keep = leases::keep_result(job.id, reviewer.leases.owner(), &result);
                reviewer.store.ask(keep).await?;
                result
            }
        };
        reach(Step::ResultKept).await;
        Ok(result)
    }

    async fn score(&self, deadline: Instant) -> Result<ReviewResult, Stop> {
        let said: BTreeSet<String> = self
            .comments
            .iter()
            // What is outdated is not on the page any more: it may be said again.
            .filter(|comment| comment.line.is_some())
            .filter_map(|comment| render::fingerprint_in(comment.body.as_deref()?).map(str::to_owned))
            .collect();
        let changed = self.files.iter().map(|file| {
            ChangedFile::of_github(&file.filename, &file.status, file.changes, file.patch.as_deref())
        });
        let unlisted = usize::try_from(self.changed_files).unwrap_or(0).saturating_sub(self.files.len());
        let plan = Plan::new(changed.collect(), unlisted, &self.policy);
        let engine = &self.claim.reviewer.engine;
        let result = engine.review(&self.head_sha, &plan, &self.policy, &said, deadline).await?;
        reach(Step::Scored).await;
        Ok(result)
    }
}

/// Reads the policy on the base branch. An invalid file is a reason to stop, not to guess.
async fn read_policy(access: &Access<'_>, base: &str) -> Result<Policy, JobError> {
    match access.text_file(policy::PATH, base).await? {
        None => Ok(Policy::default()),
        Some(yaml) => policy::review(&yaml).map_err(|error| JobError::Refused(error.to_string())),
    }
}

/// The end of a job whose pull request has moved on, with the job that takes its place.
pub(super) fn superseded(job: &Leased, pull: PullRequest) -> End {
    End::Superseded(Box::new(ReviewJob {
        key: ReviewJob::key_of(&job.repository, job.number, &pull.head.sha),
        repository: job.repository.clone(),
        number: job.number,
        base_sha: Some(pull.base.sha),
        head_sha: Some(pull.head.sha),
        installation_id: job.installation_id,
    }))
}
