//! Which failed job a run is told by.

use super::masked::says_only_that_it_failed;
use crate::classifier::Verdict;

/// A failed job of a run.
#[derive(Debug, Clone, Copy)]
pub struct FailedJob<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// When it started, in Unix seconds.
    pub started_at: Option<i64>,
    /// When it ended, in Unix seconds.
    pub ended_at: Option<i64>,
    /// The verdict on it.
    pub verdict: &'a Verdict,
}

/// Names of jobs that only sum up others.
const SUMMARIES: [&str; 15] = [
    "all checks",
    "all-checks",
    "all green",
    "all-green",
    "alls-green",
    "all jobs",
    "all-jobs",
    "all passed",
    "all tests pass",
    "ci success",
    "ci-success",
    "ci passed",
    "required checks",
    "required-checks",
    "summary",
];

/// Words of the names of jobs that report or notify. Such a job may also fail by itself, and then its line says why.
const FOLLOWERS: [&str; 15] = [
    "notif",
    "slack",
    "report",
    "upload",
    "publish test",
    "gatekeeper",
    "status",
    "result",
    "conclusion",
    "gate",
    "required",
    "success",
    "passed",
    "finish",
    "done",
];

/// What a line says that is about other jobs, in lower case.
const OF_OTHERS: [&str; 19] = [
    "needs.",
    "one or more",
    "dependent job",
    "required job",
    "needed job",
    "jobs failed",
    "job failed",
    "checks failed",
    "jobs did not",
    "job did not",
    "jobs have failed",
    "not successful",
    "did not succeed",
    "upstream job",
    "previous job",
    "some jobs",
    "artifact not found",
    "unable to find any artifacts",
    "no artifacts found",
];

/// What the line of a job says that was stopped, in lower case.
const STOPPED: [&str; 3] =
    ["the operation was canceled", "strategy configuration was canceled", "job was canceled"];

/// How much a job is the cause of its run's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// It failed by itself, and its line says why.
    Cause,
    /// It failed by itself, and its line says only that.
    Bare,
    /// It failed because another job did.
    Consequence,
}

/// The index of the job that a run is told by: the earliest that failed by itself. None if there are no jobs.
///
/// Jobs that sum up others, report on them, were stopped because of them or miss what they should have made are
/// consequences. A job that says only that a command failed is chosen if no other says more. Among equals, the job that
/// ended first is chosen, then the one that started first, then the first of the list. A run whose jobs are all
/// consequences, because their cause was not read, is told by the earliest of them.
#[must_use]
pub fn headline(jobs: &[FailedJob<'_>]) -> Option<usize> {
    (0..jobs.len()).min_by_key(|at| {
        let job = &jobs[*at];
        let late = i64::MAX;
        (part(jobs, *at), job.ended_at.unwrap_or(late), job.started_at.unwrap_or(late), *at)
    })
}

fn part(jobs: &[FailedJob<'_>], at: usize) -> Part {
    let job = &jobs[at];
    let line = job.verdict.explanation.line.as_ref().map_or("", |line| line.text.as_str()).to_lowercase();
    let others = || jobs.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
    let was_stopped = STOPPED.iter().any(|text| line.contains(text));
    if was_stopped && others().any(|other| not_after(other.ended_at, job.ended_at)) {
        return Part::Consequence;
    }
    if others().any(|other| not_after(other.ended_at, job.started_at)) {
        let name = job.name.unwrap_or_default().to_lowercase();
        let is_named = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let follows = is_named(&SUMMARIES) || (is_named(&FOLLOWERS) && says_only_that_it_failed(&line));
        if follows || OF_OTHERS.iter().any(|text| line.contains(text)) {
            return Part::Consequence;
        }
    }
    if says_only_that_it_failed(&line) || was_stopped { Part::Bare } else { Part::Cause }
}

/// Whether the first time is not after the second. Times that are not known may be so.
fn not_after(first: Option<i64>, second: Option<i64>) -> bool {
    first.zip(second).is_none_or(|(first, second)| first <= second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Explanation, Prediction};
    use crate::excerpt::Line;
    use crate::failure::FailureClass;
    use crate::features::Telemetry;

    /// A job's name, when it started and ended, and its deciding line.
    type Told = (&'static str, i64, i64, &'static str);

    const BARE: &str = "##[error]Process completed with exit code 1.";
    const STOP: &str = "##[error]The operation was canceled.";

    fn verdict(line: &str) -> Verdict {
        let line = Line { number: 1, text: line.to_owned() };
        Verdict {
            prediction: Prediction {
                probabilities: [0.1; 10],
                class: FailureClass::Build,
                confidence: 0.9,
                abstained: false,
            },
            explanation: Explanation { terms: Vec::new(), line: Some(line) },
            telemetry: Telemetry::default(),
        }
    }

    fn told_by(jobs: &[Told]) -> Option<&'static str> {
        let verdicts: Vec<_> = jobs.iter().map(|(.., line)| verdict(line)).collect();
        let failed: Vec<_> = jobs
            .iter()
            .zip(&verdicts)
            .map(|((name, start, end, _), verdict)| FailedJob {
                name: Some(name),
                started_at: Some(*start),
                ended_at: Some(*end),
                verdict,
            })
            .collect();
        headline(&failed).map(|at| jobs[at].0)
    }

    #[test]
    fn a_run_without_failed_jobs_has_no_headline() {
        assert_eq!(headline(&[]), None);
    }

    #[test]
    fn a_single_job_is_the_headline_whatever_it_says() {
        assert_eq!(
            told_by(&[("all checks passed", 0, 9, "Error: 1 of the required jobs failed")]),
            Some("all checks passed")
        );
        assert_eq!(told_by(&[("build", 0, 9, STOP)]), Some("build"));
    }

    #[test]
    fn of_independent_jobs_the_first_that_ended_tells() {
        let lint = ("lint", 0, 50, "error: unused variable");
        let test = ("test", 0, 40, "assertion failed");
        assert_eq!(told_by(&[lint, test]), Some("test"));
        assert_eq!(told_by(&[("b", 5, 40, "x y"), ("a", 3, 40, "x y")]), Some("a"));
        assert_eq!(told_by(&[("b", 5, 40, "x y"), ("a", 5, 40, "x y")]), Some("b"));
    }

    #[test]
    fn a_job_that_sums_up_others_never_tells() {
        let test = ("test", 0, 40, "assertion failed");
        for line in [BARE, "Error: build=failure", "Some of the required to succeed jobs failed"] {
            assert_eq!(told_by(&[("All checks passed?", 40, 41, line), test]), Some("test"));
        }
        assert_eq!(told_by(&[("check", 40, 41, "One or more jobs failed"), test]), Some("test"));
        let bare = ("build", 0, 40, BARE);
        for (name, line) in [
            ("Quality Summary", "##[error]One or more quality gates failed"),
            ("CI Summary", "Security check failed"),
            ("All Tests Passed", "Integration tests failed"),
            ("gatekeeper", "ERROR: One or more checks failed or were cancelled:"),
        ] {
            assert_eq!(told_by(&[(name, 41, 42, line), bare]), Some("build"), "{name}");
        }
    }

    #[test]
    fn a_job_that_reports_tells_only_what_failed_before_the_others() {
        let test = ("test", 10, 40, "assertion failed");
        assert_eq!(told_by(&[("Publish test report", 40, 41, BARE), test]), Some("test"));
        assert_eq!(told_by(&[("report", 0, 5, "error: cannot open the template"), test]), Some("report"));
    }

    #[test]
    fn a_job_that_was_stopped_because_another_failed_never_tells() {
        let test = ("test (ubuntu)", 0, 40, "assertion failed");
        for line in [STOP, "The strategy configuration was canceled because \"test.ubuntu\" failed"] {
            assert_eq!(told_by(&[("test (windows)", 0, 41, line), test]), Some("test (ubuntu)"));
        }
    }

    #[test]
    fn a_job_that_misses_what_another_should_have_made_never_tells() {
        let build = ("build", 0, 40, "error: linker failed");
        let deploy =
            ("deploy", 41, 43, "Error: Unable to download artifact(s): Artifact not found for name: dist");
        assert_eq!(told_by(&[deploy, build]), Some("build"));
    }

    #[test]
    fn a_job_that_says_nothing_tells_only_if_no_other_says_more() {
        assert_eq!(told_by(&[("a", 0, 10, BARE), ("b", 0, 40, "error: it broke")]), Some("b"));
        assert_eq!(told_by(&[("a", 0, 10, BARE), ("b", 0, 5, BARE)]), Some("b"));
    }

    #[test]
    fn without_times_names_and_lines_decide() {
        let (bare, telling) = (verdict(BARE), verdict("error: it broke"));
        let job = |name, verdict| FailedJob { name: Some(name), started_at: None, ended_at: None, verdict };
        assert_eq!(headline(&[job("ci success", &bare), job("build", &telling)]), Some(1));
    }
}
