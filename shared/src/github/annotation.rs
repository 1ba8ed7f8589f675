//! What the annotations of a job's check run say about how the job ended.
//!
//! A job that was stopped from outside says nothing of it in its log: it breaks off, or there is none. The runner's service
//! writes the reason as an annotation: <https://docs.github.com/rest/checks/runs#list-check-run-annotations>.

use crate::failure::FailureClass;
use serde::Deserialize;

/// The longest sentence that is taken from an annotation, in characters. GitHub's own are below 300.
const SENTENCE_CHARS: usize = 400;
/// The largest number of annotations whose sentences are taken for the lines of a job without a log.
const SENTENCES_MAX: usize = 10;

/// An annotation of a check run.
#[derive(Debug, Clone, Deserialize)]
pub struct Annotation {
    /// `notice`, `warning` or `failure`.
    pub annotation_level: Option<String>,
    /// The text, in one or several lines.
    pub message: Option<String>,
}

/// What stopped a job from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// The job ran for longer than its `timeout-minutes` or the platform allows.
    TimeLimit,
    /// The machine was lost, shut down, or there was none.
    RunnerLoss,
}

/// The reason why a job was stopped, in the words of its annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What stopped the job.
    pub by: StoppedBy,
    /// The first line of the annotation.
    pub sentence: String,
}

/// Parts of GitHub's sentences, in lower case. Newer pushes, `concurrency`, failed siblings and people are none of these:
/// "The operation was canceled.", "Canceling since a higher priority waiting request for ci exists".
const SENTENCES: [(StoppedBy, &str); 8] = [
    (StoppedBy::TimeLimit, "has exceeded the maximum execution time"),
    (StoppedBy::RunnerLoss, "lost communication with the server"),
    (StoppedBy::RunnerLoss, "the runner has received a shutdown signal"),
    (StoppedBy::RunnerLoss, "was not acquired by runner"),
    (StoppedBy::RunnerLoss, "received request to deprovision"),
    (StoppedBy::RunnerLoss, "the hosted runner encountered an error"),
    (StoppedBy::RunnerLoss, "the self-hosted runner encountered an error"),
    (StoppedBy::RunnerLoss, "there were no enabled runners online"),
];

// === impl StoppedBy ===

impl StoppedBy {
    /// The class of a failure with this reason.
    #[must_use]
    pub fn class(self) -> FailureClass {
        match self {
            Self::TimeLimit => FailureClass::Timeout,
            Self::RunnerLoss => FailureClass::Resource,
        }
    }
}

// === impl Annotation ===

impl Annotation {
    fn sentence(&self) -> Option<String> {
        let line = self.message.as_deref()?.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().take(SENTENCE_CHARS).collect())
    }
}

// === impl Stopped ===

impl Stopped {
    /// The time limit or the lost runner that `annotations` name. A time limit comes before a lost runner, because the
    /// runner is stopped when the time is over.
    #[must_use]
    pub fn of(annotations: &[Annotation]) -> Option<Self> {
        let sentences: Vec<String> = annotations.iter().filter_map(Annotation::sentence).collect();
        SENTENCES.iter().find_map(|(by, part)| {
            let told = sentences.iter().find(|sentence| sentence.to_ascii_lowercase().contains(part))?;
            Some(Self { by: *by, sentence: told.clone() })
        })
    }

    /// The sentence as the last line of the job's log, in the form in which a runner reports an error.
    #[must_use]
    pub fn line(&self) -> String {
        error_line(&self.sentence)
    }
}

/// The lines that a failed job without a log would have reported, one for each annotation of the level `failure`.
#[must_use]
pub fn error_lines(annotations: &[Annotation]) -> String {
    let failures = annotations.iter().filter(|note| note.annotation_level.as_deref() == Some("failure"));
    let sentences = failures.filter_map(Annotation::sentence).take(SENTENCES_MAX);
    sentences.map(|sentence| error_line(&sentence)).collect()
}

fn error_line(sentence: &str) -> String {
    format!("\n##[error]{sentence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(level: &str, message: &str) -> Annotation {
        Annotation { annotation_level: Some(level.to_owned()), message: Some(message.to_owned()) }
    }

    #[test]
    fn a_limit_and_a_lost_runner_are_told_from_a_person_a_newer_push_and_a_failed_sibling() {
        let of = |message: &str| Stopped::of(&[annotation("failure", message)]).map(|stopped| stopped.by);
        for limit in [
            "The job running on runner GitHub Actions 4 has exceeded the maximum execution time of 360 minutes.",
            "The job has exceeded the maximum execution time of 1h0m0s",
        ] {
            assert_eq!(of(limit), Some(StoppedBy::TimeLimit), "{limit}");
        }
        for lost in [
            "The hosted runner: GitHub Actions 5 lost communication with the server. Anything in your workflow that \
             terminates the runner process can cause this error.",
            "The self-hosted runner: box-1 lost communication with the server.",
            "The runner has received a shutdown signal. This can happen when the runner service is stopped.",
            "The job was not acquired by Runner of type hosted even after multiple attempts",
            "Received request to deprovision: The request was cancelled by the remote provider.",
            "The hosted runner encountered an error while running your job. (Error Type: Disconnect).",
        ] {
            assert_eq!(of(lost), Some(StoppedBy::RunnerLoss), "{lost}");
        }
        for silent in [
            "The operation was canceled.",
            "The run was canceled by @mona.",
            "Canceling since a higher priority waiting request for 'ci-main' exists",
            "The job was canceled because \"linux\" failed.",
            "Node.js 16 actions are deprecated.",
            "",
        ] {
            assert_eq!(of(silent), None, "{silent}");
        }
    }

    #[test]
    fn the_sentence_is_the_first_line_of_the_annotation_that_names_the_reason() {
        let annotations = [
            annotation("failure", "The operation was canceled."),
            annotation("failure", "\nThe runner has received a shutdown signal. This can happen.\nMore.\n"),
            annotation("failure", "The job has exceeded the maximum execution time of 6h0m0s"),
        ];
        let stopped = Stopped::of(&annotations).unwrap();
        assert_eq!(stopped.by, StoppedBy::TimeLimit);
        assert_eq!(stopped.line(), "\n##[error]The job has exceeded the maximum execution time of 6h0m0s\n");
        assert_eq!(
            Stopped::of(&annotations[..2]).unwrap().sentence,
            "The runner has received a shutdown signal. This can happen."
        );
        let long = annotation("failure", &"é".repeat(SENTENCE_CHARS + 5));
        assert_eq!(error_lines(&[long]).chars().filter(|char| *char == 'é').count(), SENTENCE_CHARS);
    }

    #[test]
    fn of_a_job_without_a_log_what_was_annotated_as_a_failure_is_read() {
        let annotations = [
            annotation("warning", "Node.js 16 actions are deprecated."),
            annotation("failure", "The job was not started because recent account payments have failed."),
        ];
        assert_eq!(
            error_lines(&annotations),
            "\n##[error]The job was not started because recent account payments have failed.\n"
        );
        assert_eq!(error_lines(&[]), "");
    }
}
