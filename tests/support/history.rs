//! Failed and green runs as they are stored, made without a model.

use sentinel_shared::classifier::{Explanation, Prediction, Verdict};
use sentinel_shared::excerpt::Line;
use sentinel_shared::facts::Facts;
use sentinel_shared::failure::{Conclusion, FailureClass, FailureRecord, Subject};
use sentinel_shared::features::Telemetry;
use sentinel_shared::history::{Cause, Fault};
use sentinel_shared::kind::NextStep;
use sentinel_shared::store::Query;
use sentinel_shared::store::history::{NewFailure, OtherJobs};
use sentinel_shared::store::inferences::{self, EvidenceKind, NewInference};
use sentinel_shared::webhook::{DeliveryKey, PassedRun};

/// The repository of every run here that names none.
pub const REPOSITORY: &str = "acme/app";
/// The workflow of every run here.
pub const WORKFLOW: &str = "CI";
/// Unix seconds from which the runs are told.
pub const DAY: i64 = 1_800_000_000;

/// A job that failed: its id, its name, the line that decided, and the tests that failed.
#[derive(Debug, Clone, Copy)]
pub struct Job(pub u64, pub &'static str, pub &'static str, pub &'static [&'static str]);

/// A failed run with the verdicts on its jobs, the headline first.
pub struct FailedRun {
    record: FailureRecord,
    key: DeliveryKey,
    verdicts: Vec<Made>,
    passed: Vec<String>,
}

/// A verdict on one job.
struct Made {
    subject: Subject,
    job: Job,
    verdict: Verdict,
    cause: Cause,
    next: NextStep,
    facts: Facts,
    failed_at: i64,
}

// === impl FailedRun ===

impl FailedRun {
    /// The run of `record` in which `jobs` failed and `passed` passed.
    #[must_use]
    pub fn of(record: FailureRecord, jobs: &[Job], passed: &[&str]) -> Self {
        let key = DeliveryKey { hook: "1".into(), id: format!("{:?}", record.subject) };
        let at = record.ended_at.unwrap_or(DAY);
        let verdicts =
            jobs.iter().enumerate().map(|(number, job)| Made::of(&record, *job, number == 0, at)).collect();
        Self { record, key, verdicts, passed: passed.iter().map(|&name| name.to_owned()).collect() }
    }

    /// Stores the run.
    pub fn finish(&self, now: i64) -> Query<()> {
        let rows: Vec<_> = self.verdicts.iter().map(|made| made.rows(&self.key, &self.record)).collect();
        let others = OtherJobs { failed: rows.len(), unread: 0, passed: &self.passed };
        inferences::finish(&rows, others, now)
    }
}

// === impl Made ===

impl Made {
    fn of(record: &FailureRecord, job: Job, is_headline: bool, failed_at: i64) -> Self {
        let Job(job_id, _, text, tests) = job;
        let run_attempt = record.subject.run_attempt();
        let subject = if is_headline {
            record.subject.clone()
        } else {
            Subject::Job { job_id, run_id: None, run_attempt }
        };
        let class = if tests.is_empty() { FailureClass::Build } else { FailureClass::Test };
        let mut probabilities = [0.0; 10];
        probabilities[class.index()] = 1.0;
        let line = Line { number: 7, text: text.to_owned() };
        let verdict = Verdict {
            prediction: Prediction { probabilities, class, confidence: 1.0, abstained: false },
            explanation: Explanation { terms: Vec::new(), line: Some(line) },
            telemetry: Telemetry::default(),
        };
        let facts: Facts = Facts::of(
            tests
                .iter()
                .map(|name| format!("FAILED t.py::{name} - x"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str),
        );
        Self {
            subject,
            job,
            cause: Cause::of(&verdict, &facts),
            verdict,
            next: NextStep { kind: None, advice: "Mend it.".into(), docs: "https://example.com".into() },
            facts,
            failed_at,
        }
    }

    fn rows<'a>(
        &'a self,
        key: &'a DeliveryKey,
        record: &'a FailureRecord,
    ) -> (NewInference<'a>, NewFailure<'a>) {
        let new = NewInference {
            key,
            record,
            subject: &self.subject,
            verdict: &self.verdict,
            evidence: EvidenceKind::Log,
            notes: &[],
            job: Some(self.job.1),
            step: None,
            model_version: "v1",
            cells: &[],
        };
        let failure = NewFailure {
            job_id: Some(self.job.0),
            failed_at: Some(self.failed_at),
            seconds: Some(60),
            cause: &self.cause,
            fault: Fault::Code,
            next: &self.next,
            facts: &self.facts,
            around: &[],
            known: None,
            remarks: &[],
            pull: None,
            change: None,
            owners: &[],
        };
        (new, failure)
    }
}

/// The record of a failed run or job of [`REPOSITORY`] that ended at `ended_at`.
#[must_use]
pub fn record(subject: Subject, branch: &str, sha: &str, ended_at: i64) -> FailureRecord {
    FailureRecord {
        subject,
        repository: REPOSITORY.into(),
        installation_id: Some(7),
        author: Some("ann".into()),
        workflow: Some(WORKFLOW.into()),
        job: None,
        conclusion: Conclusion::Failure,
        summary: None,
        branch: Some(branch.into()),
        default_branch: Some("main".into()),
        trigger: Some("push".into()),
        pull: None,
        base: None,
        head_sha: Some(sha.into()),
        html_url: None,
        started_at: None,
        ended_at: Some(ended_at),
        runner_labels: Vec::new(),
    }
}

/// A green run of [`REPOSITORY`].
#[must_use]
pub fn green(run_id: u64, run_attempt: u32, branch: &str, sha: &str, ended_at: i64) -> PassedRun {
    PassedRun {
        repository: REPOSITORY.into(),
        installation_id: Some(7),
        run_id,
        run_attempt,
        workflow: Some(WORKFLOW.into()),
        branch: Some(branch.into()),
        default_branch: Some("main".into()),
        head_sha: Some(sha.into()),
        trigger: Some("push".into()),
        author: Some("bob".into()),
        pull: None,
        ended_at: Some(ended_at),
    }
}
