//! A result becomes one review on GitHub, at most once.

use super::Reviewer;
use super::claim::Claim;
use super::end::{End, Stop};
use super::review::{PullReview, superseded};
use crate::operate::faults::{Step, reach};
use crate::review::github::{CheckConclusion, CheckReport, JobError, PullFile, Said};
use sentinel_shared::diff::{Place, parse_patch};
use sentinel_shared::review::Finding;
use sentinel_shared::review::render::{self, Summary};
use sentinel_shared::store::jobs::ReviewResult;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

/// The name of the check run on a commit.
const CHECK_NAME: &str = "Sentinel review";
/// The number of outdated comments that one review folds. Each costs one of the 500 writes per hour. The next review
/// folds more.
const HIDE_MAX: usize = 20;

/// A finding and the comment about it.
type Comment<'r> = (&'r Finding, String);

impl PullReview<'_> {
    /// 1. Look for our marker: an answer of GitHub may have been lost after it did what was asked.
    /// 2. Wait for our turn to write, then make sure that the job is still ours and still the newest.
    /// 3. Post everything at once. Where GitHub refuses a line, move what our own check can't place to the summary.
    /// 4. Fold our comments on lines that are gone.
    /// 5. Say on the commit how the review went: never green when it is partial.
    pub(super) async fn post(&self, result: &ReviewResult) -> Result<End, Stop> {
        let Claim { reviewer, job, access } = &self.claim;
        // (1)
        let earlier = access.own_reviews(job.number).await?;
        let of_job =
            |said: &&Said| said.body.as_deref().is_some_and(|body| render::is_of_key(body, &job.key));
        let adopted = earlier.iter().find(of_job).map(|review| review.html_url.clone());
        reach(Step::MarkerSought).await;
        let mut posted = BTreeMap::new();
        let url = match adopted {
            Some(url) => {
                info!(key = job.key, "review.adopted: it was posted before");
                reviewer.count(&result.findings, "duplicate");
                Some(url)
            }
            // A review that says nothing is noise, unless it is the only way to tell that it is partial.
            None if result.findings.is_empty()
                && (reviewer.github.is_app() || !result.receipt.is_partial()) =>
            {
                None
            }
            None => {
                // (2) and (3)
                let url = self.post_once(result).await?;
                for finding in &result.findings {
                    *posted.entry(finding.severity.label()).or_insert(0) += 1;
                }
                Some(url)
            }
        };
        reach(Step::ReviewPosted).await;
        // (4)
        self.hide_outdated().await?;
        reach(Step::OutdatedHidden).await;
        // (5)
        let check_url = self.post_check_run(result).await?;
        reach(Step::CheckRunPosted).await;
        Ok(End::Done { url: url.or(check_url).unwrap_or_default(), posted })
    }

    async fn post_once(&self, result: &ReviewResult) -> Result<String, Stop> {
        let Claim { reviewer, job, access } = &self.claim;
        let comments = self.comments_on(result).await;
        let turn = self.claim.turn().await?;
        let body = self.summary(result, comments.len(), &[]);
        match access.post_review(turn, job.number, &result.head_sha, &body, &comments).await {
            Err(JobError::Unprocessable(refused)) => {
                warn!(key = job.key, "review.line_refused: {refused}");
                self.post_placeable(result, comments).await
            }
            answer => {
                let url = answer?;
                reviewer.count(&result.findings, "posted");
                Ok(url)
            }
        }
    }

    /// Posts a review again after GitHub refused a line without saying which. Findings that our own check cannot place
    /// in the diff go to the summary.
    async fn post_placeable(
        &self,
        result: &ReviewResult,
        comments: Vec<Comment<'_>>,
    ) -> Result<String, Stop> {
        let Claim { reviewer, job, access } = &self.claim;
        // A commit that was pushed in between makes every line of this one unplaceable.
        let pull = access.pull(job.number).await?;
        if pull.head.sha != result.head_sha {
            return Err(Stop::End(superseded(job, pull)));
        }
        let anchors = anchors(&self.files);
        let is_placeable =
            |(finding, _): &Comment<'_>| anchors.contains(&(finding.path.as_str(), finding.line));
        let (mut comments, elsewhere): (Vec<_>, Vec<_>) = comments.into_iter().partition(is_placeable);
        let mut unplaced: Vec<Finding> = elsewhere.into_iter().map(|(finding, _)| finding.clone()).collect();
        if unplaced.is_empty() {
            // GitHub refuses one that our own check finds in the diff.
            unplaced = comments.drain(..).map(|(finding, _)| finding.clone()).collect();
        }
        let turn = self.claim.turn().await?;
        let body = self.summary(result, comments.len(), &unplaced);
        let url = match access.post_review(turn, job.number, &result.head_sha, &body, &comments).await {
            Err(JobError::Unprocessable(_)) if !comments.is_empty() => {
                unplaced.extend(comments.drain(..).map(|(finding, _)| finding.clone()));
                let body = self.summary(result, 0, &unplaced);
                access.post_review(access.turn().await?, job.number, &result.head_sha, &body, &[]).await?
            }
            answer => answer?,
        };
        reviewer.count(comments.iter().map(|(finding, _)| *finding), "posted");
        reviewer.count(&unplaced, "summary");
        Ok(url)
    }

    async fn comments_on<'r>(&self, result: &'r ReviewResult) -> Vec<Comment<'r>> {
        let mut comments = Vec::with_capacity(result.findings.len());
        for finding in &result.findings {
            let explanation = match &self.claim.reviewer.explainer {
                Some(explainer) => explainer.explain(finding).await,
                None => None,
            };
            comments.push((finding, render::comment(finding, self.policy.speech, explanation.as_deref())));
        }
        comments
    }

    /// Folds outdated comments. If GitHub refuses, the review still counts as posted.
    async fn hide_outdated(&self) -> Result<(), Stop> {
        let access = &self.claim.access;
        let is_ours = |said: &Said| said.body.as_deref().and_then(render::fingerprint_in).is_some();
        let outdated: Vec<&Said> =
            self.comments.iter().filter(|said| said.line.is_none() && is_ours(said)).collect();
        let not_folded = match access.not_folded(&outdated).await {
            Err(error) if error.is_passing() => return Err(error.into()),
            Err(error) => {
                warn!("review.not_folded: {}", error.what());
                return Ok(());
            }
            Ok(not_folded) => not_folded,
        };
        for comment in not_folded.into_iter().take(HIDE_MAX) {
            match access.hide_outdated(access.turn().await?, comment).await {
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(error) => warn!("review.not_folded: {}", error.what()),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn post_check_run(&self, result: &ReviewResult) -> Result<Option<String>, Stop> {
        let Claim { reviewer, job, access } = &self.claim;
        if !reviewer.github.is_app() {
            return Ok(None);
        }
        let found = result.findings.len();
        let partial = result.receipt.is_partial();
        let title = match (found, partial) {
            (0, false) => "Nothing asks for a second look".to_owned(),
            (0, true) => "Reviewed in part".to_owned(),
            (n, _) => format!("{n} to look at again"),
        };
        let summary = self.summary(result, found, &[]);
        let is_clean = found == 0 && !partial;
        let report = CheckReport {
            name: CHECK_NAME,
            external_id: &job.key,
            head_sha: &result.head_sha,
            conclusion: if is_clean { CheckConclusion::Success } else { CheckConclusion::Neutral },
            title: &title,
            summary: &summary,
        };
        match access.put_check_run(access.turn().await?, &report).await {
            Ok(url) => Ok(Some(url)),
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => {
                warn!(key = job.key, "review.no_check_run: {}", error.what());
                Ok(None)
            }
        }
    }

    /// The summary of a review with this many inline comments.
    fn summary(&self, result: &ReviewResult, shown: usize, unplaced: &[Finding]) -> String {
        render::summary(&Summary {
            key: &self.claim.job.key,
            head_sha: &result.head_sha,
            receipt: &result.receipt,
            shown,
            unplaced,
            withheld: &result.withheld,
            model_version: &result.model_version,
            input_sha256: &result.input_sha256,
            speech: self.policy.speech,
        })
    }
}

impl Reviewer {
    fn count<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>, status: &str) {
        for finding in findings {
            self.metrics.review_posted.with_label_values(&[finding.severity.label(), status]).inc();
        }
    }
}

/// Every (path, line) of the new side that GitHub accepts a comment on.
fn anchors(files: &[PullFile]) -> BTreeSet<(&str, u32)> {
    let mut anchors = BTreeSet::new();
    for file in files {
        let hunks = file.patch.as_deref().and_then(|patch| parse_patch(patch).ok()).unwrap_or_default();
        for line in hunks.iter().flat_map(|hunk| &hunk.lines) {
            if let Place::Added { new } | Place::Context { new, .. } = line.place {
                anchors.insert((file.filename.as_str(), new));
            }
        }
    }
    anchors
}
