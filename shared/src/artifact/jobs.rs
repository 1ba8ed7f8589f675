//! Runs a loaded model on every job of a log, and tells the result to programs. The command line and the npm package
//! answer with the same JSON.

use super::ModelBundle;
use crate::Result;
use crate::classifier::Verdict;
use crate::excerpt::{Excerpt, JobLog, Line};
use crate::facts::Facts;
use crate::kind::{Clues, NextStep, kind_of};
use serde_json::{Value as Json, json};

/// One job and the verdict on it.
#[derive(Debug, Clone)]
pub struct JobVerdict {
    /// The name of the job, if it is known.
    pub job: Option<String>,
    /// The name of the step that failed, if it is known.
    pub step: Option<String>,
    /// The lines that the verdict was made from, and what the failed step states.
    pub excerpt: Excerpt,
    /// None if nothing in the log says that the job failed.
    pub verdict: Option<Verdict>,
    /// What the failure is called, and what to do.
    pub next: Option<NextStep>,
}

// === impl ModelBundle ===

impl ModelBundle {
    /// The verdict on one job of a log. `step` and `job` are what the caller knows better than the log.
    ///
    /// # Errors
    /// As [`crate::classifier::Classifier::predict`].
    pub fn classify_job(&self, log: JobLog, step: Option<&str>, job: Option<&str>) -> Result<JobVerdict> {
        let job = job.or(log.name.as_deref()).map(str::to_owned);
        let verdict = if log.found {
            let step = step.or(log.step.as_deref());
            Some(self.classify_log(&log.excerpt, step, job.as_deref())?)
        } else {
            None
        };
        let line = verdict.as_ref().and_then(|verdict| verdict.explanation.line.as_ref());
        let at_line = line.and_then(|line| log.step_at(line.number)).map(str::to_owned);
        let step = step.map(str::to_owned).or(at_line).or_else(|| log.step.clone());
        let step = step.filter(|_| verdict.is_some());
        let next = verdict.as_ref().map(|verdict| self.next_step(verdict, &log.excerpt.facts));
        Ok(JobVerdict { job, step, excerpt: log.excerpt, verdict, next })
    }

    /// What to do about a failure. The signature on the deciding line is asked only if it agrees with the class.
    #[must_use]
    pub fn next_step(&self, verdict: &Verdict, facts: &Facts) -> NextStep {
        let class = verdict.prediction.class;
        let line = verdict.explanation.line.as_ref().map_or("", |line| line.text.as_str());
        let line = line.strip_prefix("##[error]").unwrap_or(line).trim();
        let told = self.patterns.told(line).filter(|pattern| pattern.suggests == class);
        let clues = Clues {
            signature: told.and_then(|pattern| pattern.kind),
            exit_code: facts.exit_code,
            http_status: facts.http_status,
            failing_tests: facts.failing_tests.len(),
            ..Clues::of(class)
        };
        let kind = kind_of(&clues);
        let (advice, docs) = match (told, kind) {
            (Some(pattern), _) => (pattern.advice.as_str(), pattern.docs.as_str()),
            (None, Some(kind)) => (kind.advice(), class.docs()),
            (None, None) => (class.advice(), class.docs()),
        };
        NextStep { kind, advice: advice.to_owned(), docs: docs.to_owned() }
    }

    /// The JSON of all `verdicts` for programs: `jobs`, each with `job`, `step`, `found`, the fields of
    /// [`Self::public_json`], `around` (the lines around the deciding one), `facts`, `kind`, `advice`, `docs` and `log`;
    /// `model_version`. The fields of a single job are told outside of `jobs` too.
    #[must_use]
    pub fn jobs_json(&self, verdicts: &[JobVerdict]) -> Json {
        let mut jobs: Vec<Json> = verdicts.iter().map(|verdict| self.job_json(verdict)).collect();
        let mut told = match jobs.as_slice() {
            [job] => job.clone(),
            _ => json!({ "model_version": self.manifest.model_version }),
        };
        jobs.iter_mut().for_each(|job| {
            job.as_object_mut().map(|fields| fields.remove("model_version"));
        });
        told["jobs"] = Json::Array(jobs);
        told
    }

    fn job_json(&self, verdict: &JobVerdict) -> Json {
        let mut told = match &verdict.verdict {
            Some(verdict) => self.public_json(verdict),
            None => json!({ "prediction": null, "model_version": self.manifest.model_version }),
        };
        told["found"] = json!(verdict.verdict.is_some());
        told["job"] = json!(verdict.job);
        told["step"] = json!(verdict.step);
        if verdict.verdict.is_some() {
            told["around"] = json!(verdict.around());
            told["facts"] = json!(verdict.excerpt.facts);
        }
        if let Some(next) = &verdict.next {
            told["kind"] = json!(next.kind);
            told["advice"] = json!(next.advice);
            told["docs"] = json!(next.docs);
        }
        told["log"] = json!({ "lines": verdict.excerpt.log_lines, "bytes": verdict.excerpt.log_bytes });
        told
    }
}

// === impl JobVerdict ===

impl JobVerdict {
    /// The deciding line and at most two lines before and after it, without secrets. Lines that say nothing are left
    /// out.
    #[must_use]
    pub fn around(&self) -> Vec<Line> {
        self.excerpt.around(self.verdict.as_ref().and_then(|verdict| verdict.explanation.line.as_ref()))
    }
}
