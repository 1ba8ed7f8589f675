//! The smaller jobs: explaining the last review, and telling why a run failed.

use super::claim::Claim;
use super::end::{End, Stop};
use super::{Reviewer, Verdicts};
use crate::operate::faults::{Step, reach};
use crate::review::github::{CheckConclusion, CheckReport, Said};
use sentinel_shared::Error;
use sentinel_shared::access::Scope;
use sentinel_shared::review::render;
use sentinel_shared::store::inferences::{self, Inference};
use sentinel_shared::store::leases::Leased;
use sentinel_shared::store::queue;
use std::collections::BTreeMap;

/// The check run's name on a commit.
const CHECK_NAME: &str = "Sentinel: why it failed";

impl Reviewer {
    /// Answers `/sentinel explain` with how the last review came about.
    pub(super) async fn explain(&self, job: &Leased) -> Result<End, Stop> {
        let claim = Claim::of(self, job).await?;
        let last = self.store.ask(queue::last_review(&job.repository, job.number)).await?;
        let outcome = last.as_ref().and_then(|row| {
            let receipt = &row.result.as_ref()?.receipt;
            let (hunks, seen) = (receipt.hunks_reviewed, receipt.hunks_seen);
            Some(format!("{}, {hunks} of {seen} hunks reviewed", row.status.label()))
        });
        let findings = last.and_then(|row| row.result).map(|result| result.findings).unwrap_or_default();
        let body = render::explanation(&job.key, &findings, outcome.as_deref());
        claim.answer_once(job.number, &job.key, &body).await
    }

    /// Publishes why a run failed, where the team reads it.
    pub(super) async fn tell_verdict(&self, job: &Leased) -> Result<End, Stop> {
        let id = i64::try_from(job.number).unwrap_or(i64::MAX);
        let inference = match self.store.ask(inferences::by_id(Scope::All, id)).await {
            Err(Error::NotFound) => return Ok(End::Needless("the verdict is gone")),
            inference => inference?,
        };
        let Some(head_sha) = inference.head_sha.clone() else {
            return Ok(End::Needless("the run has no commit"));
        };
        let claim = Claim::of(self, job).await?;
        let body = self.verdict_body(&inference);
        if self.options.verdicts == Verdicts::CheckRun && self.github.is_app() {
            let report = CheckReport {
                name: CHECK_NAME,
                external_id: &inference.subject,
                head_sha: &head_sha,
                conclusion: CheckConclusion::Neutral,
                title: &inference.prediction,
                summary: &body,
            };
            let url = claim.access.put_check_run(claim.turn().await?, &report).await?;
            reach(Step::CheckRunPosted).await;
            return Ok(End::Done { url, posted: BTreeMap::new() });
        }
        let Some(pull) = claim.access.pull_of_commit(&head_sha).await? else {
            return Ok(End::Skipped("the commit is the head of no open pull request"));
        };
        claim.answer_once(pull.number, &inference.subject, &body).await
    }

    fn verdict_body(&self, inference: &Inference) -> String {
        let line = inference.log_line["text"].as_str();
        let place: Vec<&str> = [&inference.workflow, &inference.job, &inference.step]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let place = place.join(" / ");
        let correction =
            self.options.dashboard_url.as_ref().map(|url| format!("{url}/?inference={}", inference.id));
        render::verdict(&render::Verdict {
            key: &inference.subject,
            prediction: &inference.prediction,
            confidence: inference.confidence,
            line,
            place: Some(place.as_str()).filter(|place| !place.is_empty()),
            run_url: inference.html_url.as_deref(),
            correction_url: correction.as_deref(),
            model_version: &inference.model_version,
        })
    }
}

impl Claim<'_> {
    /// Posts a comment in the conversation, unless a comment with this marker exists.
    async fn answer_once(&self, number: u64, marker: &str, body: &str) -> Result<End, Stop> {
        let is_it = |said: &&Said| said.body.as_deref().is_some_and(|body| render::is_of_key(body, marker));
        let earlier = self.access.own_answers(number).await?;
        reach(Step::MarkerSought).await;
        let url = match earlier.iter().find(is_it) {
            Some(answer) => answer.html_url.clone(),
            None => self.access.post_answer(self.turn().await?, number, body).await?,
        };
        reach(Step::ReviewPosted).await;
        Ok(End::Done { url, posted: BTreeMap::new() })
    }
}
