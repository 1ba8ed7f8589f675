//! What is known about a failed run before it becomes numbers: the delivery, the job's steps, the log's lines.

use super::{Categories, NUMERICS, Patterns};
use crate::excerpt::{CAUSE_PREFIX, ERROR_PREFIX, Excerpt, mask, mask_line, mask_words_of};
use crate::failure::{Conclusion, FailureRecord, bounded};
use crate::github::{Step, WorkflowJob, unix_seconds};
use serde::{Deserialize, Serialize};

/// The number of likeliest causes whose words are features of their own.
const CAUSES_READ: usize = 2;

/// Names of the three flags, in column order.
pub const FLAGS: [&str; 3] = ["is_flaky_test", "rollback_triggered", "incident_created"];

/// The model's input. Labelled records and `POST /api/classify` use the same field names. An absent field was not measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// Seconds spent in build steps.
    pub build_duration_sec: Option<f64>,
    /// Seconds spent in test steps.
    pub test_duration_sec: Option<f64>,
    /// Seconds spent in deploy steps.
    pub deploy_duration_sec: Option<f64>,
    /// Mean CPU use of the runner; GitHub does not report it.
    pub cpu_usage_pct: Option<f64>,
    /// Peak memory of the runner; GitHub does not report it.
    pub memory_usage_mb: Option<f64>,
    /// Attempts before this one.
    pub retry_count: Option<f64>,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The login of the person who started the run.
    pub author: String,
    /// Masked log lines, pseudo-terms of known signatures, and words of the step's and job's names.
    pub text: String,
    /// The categorical features of the run.
    #[serde(flatten)]
    pub categories: Categories,
    /// The test is known to be flaky.
    pub is_flaky_test: bool,
    /// Whether a rollback followed the run.
    pub rollback_triggered: bool,
    /// An incident was opened.
    pub incident_created: bool,
}

/// What the jobs API adds to a delivery: the first failed job, its steps and its log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobEvidence {
    /// The job's id, for its log.
    pub job_id: Option<u64>,
    /// The name of the failed job.
    pub job: Option<String>,
    /// The address of the job's page on GitHub.
    pub html_url: Option<String>,
    /// Name of the first failed step.
    pub step: Option<String>,
    /// The labels that the job asked of its runner.
    pub runner_labels: Vec<String>,
    /// Seconds in build, test and deploy steps, where any step has times.
    pub stage_seconds: [Option<f64>; 3],
}

/// The stage a step belongs to, by the words of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Build,
    Test,
    Deploy,
}

// === impl JobEvidence ===

impl JobEvidence {
    /// Reads the failed step of `job` and the time that it spent in each stage.
    #[must_use]
    pub fn of(job: &WorkflowJob) -> Self {
        Self {
            job_id: job.id,
            job: job.name.as_deref().map(bounded),
            html_url: job.html_url.as_deref().map(bounded),
            step: job.failed_step().and_then(|step| step.name.as_deref()).map(bounded),
            runner_labels: job.labels.iter().take(16).map(|label| bounded(label)).collect(),
            stage_seconds: stage_seconds(&job.steps),
        }
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// The telemetry of a delivered failure, from `record`, and from `job` and `excerpt` if GitHub gave them.
    #[must_use]
    pub fn of_record(
        record: &FailureRecord,
        job: Option<&JobEvidence>,
        excerpt: &Excerpt,
        patterns: &Patterns,
    ) -> Self {
        let step = job.and_then(|job| job.step.as_deref());
        let job_name = job.and_then(|job| job.job.as_deref()).or(record.job.as_deref());
        let labels = job.map_or(&record.runner_labels, |job| &job.runner_labels);
        let mut text = text_of(excerpt, step, job_name, patterns);
        if let Some(summary) = &record.summary {
            push_summary(summary, patterns, &mut text);
        }
        text.push_str(match record.conclusion {
            Conclusion::TimedOut => "conclusion_timed_out\n",
            Conclusion::StartupFailure => "conclusion_startup_failure\n",
            // The model has learnt no word for a cancelled run: one that is judged is judged as a failed one.
            Conclusion::Failure | Conclusion::Cancelled => "",
        });
        let stage = stage_of(&[step.unwrap_or_default(), job_name.unwrap_or_default()].join(" "));
        let seconds = job.map_or([None; 3], |job| job.stage_seconds);
        Self {
            build_duration_sec: seconds[0],
            test_duration_sec: seconds[1],
            deploy_duration_sec: seconds[2],
            retry_count: Some(f64::from(record.subject.run_attempt().saturating_sub(1))),
            repository: record.repository.clone(),
            author: record.author.clone().unwrap_or_default(),
            categories: Categories {
                ci_tool: "GitHub Actions".into(),
                language: language_of_text(&text).into(),
                os: os_of_labels(labels).into(),
                cloud_provider: "GitHub".into(),
                failure_stage: stage.name().into(),
                severity: "HIGH".into(),
            },
            text,
            ..Self::default()
        }
    }

    /// The telemetry of a log alone, as a person or a program hands it over.
    #[must_use]
    pub fn of_log(excerpt: &Excerpt, step: Option<&str>, job: Option<&str>, patterns: &Patterns) -> Self {
        let text = text_of(excerpt, step, job, patterns);
        let stage = stage_of(&[step.unwrap_or_default(), job.unwrap_or_default()].join(" "));
        Self {
            categories: Categories {
                ci_tool: ci_tool_of_log(excerpt).into(),
                language: language_of_text(&text).into(),
                failure_stage: stage.name().into(),
                severity: "HIGH".into(),
                ..Categories::default()
            },
            text,
            ..Self::default()
        }
    }

    /// The numerics in the order of [`NUMERICS`].
    #[must_use]
    pub fn numerics(&self) -> [Option<f64>; NUMERICS.len()] {
        [
            self.build_duration_sec,
            self.test_duration_sec,
            self.deploy_duration_sec,
            self.cpu_usage_pct,
            self.memory_usage_mb,
            self.retry_count,
        ]
        .map(|value| value.filter(|value| value.is_finite()))
    }

    pub(super) fn flags(&self) -> [bool; 3] {
        [self.is_flaky_test, self.rollback_triggered, self.incident_created]
    }
}

// === impl Stage ===

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Test => "test",
            Self::Deploy => "deploy",
        }
    }
}

/// Masked lines, then the signatures in them, then those in the lines that report an error (`err_sig_<id>`),
/// then the names as words of their own (`at_deploy`).
fn text_of(excerpt: &Excerpt, step: Option<&str>, job: Option<&str>, patterns: &Patterns) -> String {
    let masked = mask(excerpt);
    let mut text = masked.text;
    patterns.push_terms(&excerpt.text(), &[""], &mut text);
    patterns.push_terms(&masked.error_lines, &[ERROR_PREFIX], &mut text);
    push_causes(excerpt, patterns, &mut text);
    for name in [step, job].into_iter().flatten() {
        push_name(name, &mut text);
    }
    text
}

/// The words of the likeliest causes and the signatures in them, each with [`CAUSE_PREFIX`].
fn push_causes(excerpt: &Excerpt, patterns: &Patterns, text: &mut String) {
    let mut words = String::new();
    for line in excerpt.likeliest().take(CAUSES_READ) {
        words.clear();
        mask_words_of(&line.text, &mut words);
        words.split_ascii_whitespace().for_each(|word| text.extend([CAUSE_PREFIX, word, " "]));
        text.push('\n');
        patterns.push_terms(&line.text, &[CAUSE_PREFIX], text);
    }
}

fn push_name(name: &str, text: &mut String) {
    let mut words = String::new();
    mask_words_of(name, &mut words);
    for word in words.split_ascii_whitespace() {
        text.push_str("at_");
        text.push_str(word);
        text.push(' ');
    }
    text.push('\n');
}

fn push_summary(summary: &str, patterns: &Patterns, text: &mut String) {
    for line in summary.lines() {
        mask_line(line, text);
    }
    patterns.push_terms(summary, &[""], text);
}

fn stage_of(name: &str) -> Stage {
    let name = name.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["deploy", "release", "publish", "rollout", "upload", "push image", "terraform", "helm"]) {
        Stage::Deploy
    } else if says(&["test", "spec", "coverage", "e2e", "bench", "cypress", "playwright"]) {
        Stage::Test
    } else {
        Stage::Build
    }
}

fn stage_seconds(steps: &[Step]) -> [Option<f64>; 3] {
    let mut seconds = [None; 3];
    for step in steps {
        let times = (
            step.started_at.as_deref().and_then(unix_seconds),
            step.completed_at.as_deref().and_then(unix_seconds),
        );
        if let (Some(start), Some(end)) = times
            && end >= start
        {
            let slot = match stage_of(step.name.as_deref().unwrap_or_default()) {
                Stage::Build => 0,
                Stage::Test => 1,
                Stage::Deploy => 2,
            };
            *seconds[slot].get_or_insert(0.0) += (end - start) as f64;
        }
    }
    seconds
}

fn os_of_labels(labels: &[String]) -> &'static str {
    let any = |word: &str| labels.iter().any(|label| label.to_ascii_lowercase().contains(word));
    if any("windows") {
        "Windows"
    } else if any("macos") {
        "macOS"
    } else if any("linux") || any("ubuntu") {
        "Linux"
    } else {
        ""
    }
}

/// The CI system that wrote a log, by marks that only it writes; empty if none is found.
#[must_use]
pub fn ci_tool_of_log(excerpt: &Excerpt) -> &'static str {
    let has = |mark: &str| excerpt.lines.iter().any(|line| line.text.contains(mark));
    if has("##[") {
        "GitHub Actions"
    } else if has("travis_") || has("/home/travis/") || has("Your build has been stopped.") {
        "Travis CI"
    } else if has("section_start:") || has("ERROR: Job failed:") {
        "GitLab CI"
    } else {
        ""
    }
}

/// The language whose tools' words are most frequent in the masked `text`; empty if there are none.
#[must_use]
pub fn language_of_text(text: &str) -> &'static str {
    const MARKS: [(&str, &[&str]); 6] = [
        ("Go", &["ext_go", "ext_mod", "golang", "gofmt", "golangci"]),
        ("Java", &["ext_java", "maven", "gradl", "mvn", "ext_kt", "ext_gradle", "surefir"]),
        (
            "JavaScript",
            &["ext_ts", "ext_tsx", "ext_js", "ext_jsx", "npm", "yarn", "pnpm", "eslint", "vitest", "jest"],
        ),
        ("Python", &["ext_py", "pip", "pytest", "traceback", "ruff", "mypy", "poetry"]),
        ("Rust", &["ext_rs", "cargo", "rustc", "clippy", "crat"]),
        ("C++", &["ext_cpp", "ext_cc", "ext_hpp", "cmake", "ninja", "clang"]),
    ];
    let mut counts = [0usize; MARKS.len()];
    for word in text.split_ascii_whitespace() {
        for (count, (_, marks)) in counts.iter_mut().zip(MARKS) {
            *count += usize::from(marks.contains(&word));
        }
    }
    let best = (0..MARKS.len()).rev().max_by_key(|at| counts[*at]).unwrap_or(0);
    if counts[best] > 0 { MARKS[best].0 } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, start: &str, end: &str) -> Step {
        let at = |text: &str| Some(format!("2026-01-01T00:{text}Z"));
        Step { name: Some(name.into()), conclusion: None, started_at: at(start), completed_at: at(end) }
    }

    #[test]
    fn durations_are_the_steps_own_and_a_stage_without_steps_is_missing() {
        let steps = [step("Run tests", "00:10", "01:10"), step("Compile", "00:00", "00:10")];
        assert_eq!(stage_seconds(&steps), [Some(10.0), Some(60.0), None]);
    }

    #[test]
    fn a_step_name_becomes_words_of_their_own() {
        let mut text = String::new();
        push_name("Deploy to prod (eu-1)", &mut text);
        assert_eq!(text, "at_deploy at_to at_prod at_eu at_num \n");
    }

    #[test]
    fn the_language_is_the_one_whose_tools_speak() {
        assert_eq!(language_of_text("cargo build path ext_rs error"), "Rust");
        assert_eq!(language_of_text("nothing known"), "");
    }
}
