//! A result becomes one review on GitHub, at most once.

use super::{End, Reviewer, away, superseded};
use crate::faults::{Step, reach};
use crate::github::{Access, CheckRun, PullFile, Said, Trouble, Turn};
use sentinel_shared::diff::{Place, parse_patch};
use sentinel_shared::review::Finding;
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::render::{self, Summary};
use sentinel_shared::store::reviews::{Leased, Renewed, ReviewResult};
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

/// The check run's name on a commit.
const CHECK_NAME: &str = "Sentinel review";
/// Outdated comments that one review folds: each is one of the 500 writes an hour. The next review folds more.
const HIDE_MAX: usize = 20;

impl Reviewer {
    /// 1. Look for our marker: an answer of GitHub may have been lost after it did what was asked.
    /// 2. Wait for our turn to write, then make sure that the job is still ours and still the newest.
    /// 3. Post everything at once. Where GitHub refuses a line, move what our own check can't place to the summary.
    /// 4. Fold our comments on lines that are gone.
    /// 5. Say on the commit how the review went: never green when it is partial.
    pub(super) async fn post(
        &self,
        job: &Leased,
        access: &Access<'_>,
        policy: &Policy,
        files: &[PullFile],
        result: &ReviewResult,
    ) -> Result<End, Trouble> {
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
                self.count(&result.findings, "duplicate");
                Some(url)
            }
            // A review that says nothing is noise, unless it is the only way to tell that it is partial.
            None if result.findings.is_empty() && (self.github.is_app() || !result.receipt.is_partial()) => {
                None
            }
            None => {
                // (2) and (3)
                let url = match self.post_once(job, access, policy, files, result).await? {
                    Ok(url) => url,
                    Err(end) => return Ok(end),
                };
                for finding in &result.findings {
                    *posted.entry(finding.severity.label()).or_insert(0) += 1;
                }
                Some(url)
            }
        };
        reach(Step::ReviewPosted).await;
        // (4)
        self.hide_outdated(access, job.number).await?;
        reach(Step::OutdatedHidden).await;
        // (5)
        let check_url = self.check_run(job, access, policy, result).await?;
        reach(Step::CheckRunPosted).await;
        Ok(End::Done { url: url.or(check_url).unwrap_or_default(), posted })
    }

    async fn post_once(
        &self,
        job: &Leased,
        access: &Access<'_>,
        policy: &Policy,
        files: &[PullFile],
        result: &ReviewResult,
    ) -> Result<Result<String, End>, Trouble> {
        let mut comments = Vec::with_capacity(result.findings.len());
        for finding in &result.findings {
            let explanation = match &self.explainer {
                Some(explainer) => explainer.explain(finding).await,
                None => None,
            };
            comments.push((finding, render::comment(finding, policy.speech, explanation.as_deref())));
        }
        let turn = match self.turn(job, access).await? {
            Ok(turn) => turn,
            Err(end) => return Ok(Err(end)),
        };
        let body = summary(job, policy, result, comments.len(), &[]);
        let refused = match access.post_review(turn, job.number, &result.head_sha, &body, &comments).await {
            Err(Trouble::Unprocessable(what)) => what,
            answer => {
                self.count(&result.findings, "posted");
                return answer.map(Ok);
            }
        };
        warn!(key = job.key, "review.line_refused: {refused}");
        // A commit that was pushed in between makes every line of this one unplaceable.
        let pull = access.pull(job.number).await?;
        if pull.head.sha != result.head_sha {
            return Ok(Err(superseded(job, pull)));
        }
        let anchors = anchors(files);
        let (on_a_line, elsewhere): (Vec<_>, Vec<_>) = comments
            .into_iter()
            .partition(|(finding, _)| anchors.contains(&(finding.path.as_str(), finding.line)));
        let mut unplaced: Vec<Finding> = elsewhere.into_iter().map(|(finding, _)| finding.clone()).collect();
        let mut comments = on_a_line;
        if unplaced.is_empty() {
            // GitHub refuses one that our own check finds in the diff, and does not say which.
            unplaced = comments.drain(..).map(|(finding, _)| finding.clone()).collect();
        }
        let turn = match self.turn(job, access).await? {
            Ok(turn) => turn,
            Err(end) => return Ok(Err(end)),
        };
        let body = summary(job, policy, result, comments.len(), &unplaced);
        let url = match access.post_review(turn, job.number, &result.head_sha, &body, &comments).await {
            Err(Trouble::Unprocessable(_)) if !comments.is_empty() => {
                unplaced.extend(comments.drain(..).map(|(finding, _)| finding.clone()));
                let body = summary(job, policy, result, 0, &unplaced);
                access.post_review(access.turn().await?, job.number, &result.head_sha, &body, &[]).await?
            }
            answer => answer?,
        };
        self.count(comments.iter().map(|(finding, _)| *finding), "posted");
        self.count(&unplaced, "summary");
        Ok(Ok(url))
    }

    /// Our turn to write, if the job is still ours and about the newest commit; else how it ends.
    pub(super) async fn turn(&self, job: &Leased, access: &Access<'_>) -> Result<Result<Turn, End>, Trouble> {
        let turn = access.turn().await?;
        reach(Step::WriteAllowed).await;
        let renewed = self.renew(job).await.map_err(away)?;
        reach(Step::LeaseRenewed).await;
        Ok(match renewed {
            Renewed::Held => Ok(turn),
            Renewed::Outdated => Err(End::Outdated),
            Renewed::Lost => Err(End::Lost),
        })
    }

    /// Folding is a courtesy: GitHub refusing it does not undo a review.
    async fn hide_outdated(&self, access: &Access<'_>, number: u64) -> Result<(), Trouble> {
        let comments = access.own_comments(number).await?;
        let is_ours = |said: &Said| said.body.as_deref().and_then(render::fingerprint_in).is_some();
        let outdated: Vec<&Said> =
            comments.iter().filter(|said| said.line.is_none() && is_ours(said)).collect();
        let not_folded = match access.not_folded(&outdated).await {
            Err(trouble) if trouble.is_passing() => return Err(trouble),
            Err(trouble) => {
                warn!("review.not_folded: {}", trouble.what());
                return Ok(());
            }
            Ok(not_folded) => not_folded,
        };
        for comment in not_folded.into_iter().take(HIDE_MAX) {
            match access.hide_outdated(access.turn().await?, comment).await {
                Err(trouble) if trouble.is_passing() => return Err(trouble),
                Err(trouble) => warn!("review.not_folded: {}", trouble.what()),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn check_run(
        &self,
        job: &Leased,
        access: &Access<'_>,
        policy: &Policy,
        result: &ReviewResult,
    ) -> Result<Option<String>, Trouble> {
        if !self.github.is_app() {
            return Ok(None);
        }
        let found = result.findings.len();
        let partial = result.receipt.is_partial();
        let title = match (found, partial) {
            (0, false) => "Nothing asks for a second look".to_owned(),
            (0, true) => "Reviewed in part".to_owned(),
            (n, _) => format!("{n} to look at again"),
        };
        let summary = summary(job, policy, result, found, &[]);
        let check = CheckRun {
            name: CHECK_NAME,
            external_id: &job.key,
            head_sha: &result.head_sha,
            conclusion: if found == 0 && !partial { "success" } else { "neutral" },
            title: &title,
            summary: &summary,
        };
        match access.put_check_run(access.turn().await?, &check).await {
            Ok(url) => Ok(Some(url)),
            Err(trouble) if trouble.is_passing() => Err(trouble),
            Err(trouble) => {
                warn!(key = job.key, "review.no_check_run: {}", trouble.what());
                Ok(None)
            }
        }
    }

    fn count<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>, status: &str) {
        for finding in findings {
            self.metrics.review_posted.with_label_values(&[finding.severity.label(), status]).inc();
        }
    }
}

/// The body that accounts for a review with so many inline comments.
fn summary(
    job: &Leased,
    policy: &Policy,
    result: &ReviewResult,
    shown: usize,
    unplaced: &[Finding],
) -> String {
    render::summary(&Summary {
        key: &job.key,
        head_sha: &result.head_sha,
        receipt: &result.receipt,
        shown,
        unplaced,
        withheld: &result.withheld,
        model_version: &result.model_version,
        input_sha256: &result.input_sha256,
        speech: policy.speech,
    })
}

/// Every (path, line) of the new side that GitHub takes a comment on.
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
