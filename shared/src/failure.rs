//! A failed run: its ten possible causes, and what is known about it.

use serde::{Deserialize, Serialize};

/// Longest text kept of any one payload field, in characters: names and titles are shorter, floods are not.
pub const FIELD_CHARS: usize = 256;

/// Why a run failed. The names appear in the API and in labelled data. The order is the label encoder's, which sorts by
/// name; the model's outputs have it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureClass {
    /// Compile, link, type-check, lint, format, packaging of the project's own code.
    #[serde(rename = "Build Failure")]
    Build,
    /// The pipeline or a tool is set up wrongly.
    #[serde(rename = "Configuration Error")]
    Configuration,
    /// Third-party code could not be resolved or installed.
    #[serde(rename = "Dependency Error")]
    Dependency,
    /// A release, publish or rollout was refused by its platform.
    #[serde(rename = "Deployment Failure")]
    Deployment,
    /// Another host could not be reached or broke off.
    #[serde(rename = "Network Error")]
    Network,
    /// Authentication or authorisation was refused.
    #[serde(rename = "Permission Error")]
    Permission,
    /// Memory, disk, quota, a lost runner.
    #[serde(rename = "Resource Exhaustion")]
    Resource,
    /// A scanner ran to its end and its findings failed the run.
    #[serde(rename = "Security Scan Failure")]
    SecurityScan,
    /// The project's own tests failed.
    #[serde(rename = "Test Failure")]
    Test,
    /// A limit on a job, step or build ended it.
    #[serde(rename = "Timeout")]
    Timeout,
}

/// The conclusions that are looked into. Source: the `conclusion` values of the Actions and Checks APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// The run ended with a failure.
    Failure,
    /// The run was ended by a limit.
    TimedOut,
    /// The run could not start (an invalid workflow file).
    StartupFailure,
    /// The run was cancelled: by a person, by a newer push, by a limit, or with a lost runner. Only a whole run has this
    /// conclusion, and its jobs tell which it was. It never reaches the model, which has learnt the others only.
    Cancelled,
}

/// The failed run or job by GitHub's numbers. Its [`Subject::key`] makes storing a verdict twice harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A whole workflow run, by attempt.
    Run {
        /// GitHub's `workflow_run.id`.
        run_id: u64,
        /// `workflow_run.run_attempt`, 1 when GitHub sends null.
        run_attempt: u32,
    },
    /// One job of a run. An Actions check run has the id of its job, so both deliveries share this key.
    Job {
        /// GitHub's `workflow_job.id` or `check_run.id`.
        job_id: u64,
        /// `workflow_job.run_id`, where the event has it.
        run_id: Option<u64>,
        /// `workflow_job.run_attempt`, 1 when GitHub sends null.
        run_attempt: u32,
    },
}

/// What the delivery says about one failed run. An absent value is `None`, never an invented one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The run or job that failed.
    pub subject: Subject,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The App installation that the delivery came through.
    pub installation_id: Option<u64>,
    /// The login of the person who started the run.
    pub author: Option<String>,
    /// The name of the workflow.
    pub workflow: Option<String>,
    /// The job's name, for job and check deliveries.
    pub job: Option<String>,
    /// How GitHub says the run ended.
    pub conclusion: Conclusion,
    /// What the delivery itself says about the failure (`check_run.output`), if anything.
    pub summary: Option<String>,
    /// The branch that the run tested. A fork's has its owner before it, as in `octocat:main`, because it is another
    /// branch than the repository's own of that name. A job's delivery does not tell forks apart.
    pub branch: Option<String>,
    /// The repository's default branch.
    pub default_branch: Option<String>,
    /// The event that started the run, such as `push` (`workflow_run.event`). Deliveries of jobs and checks have none.
    pub trigger: Option<String>,
    /// The number of the first pull request that GitHub names. It names none of a fork.
    pub pull: Option<u64>,
    /// The branch that this pull request goes onto.
    pub base: Option<String>,
    /// The SHA of the commit that the run tested.
    pub head_sha: Option<String>,
    /// The address of the page about it on GitHub.
    pub html_url: Option<String>,
    /// When the run started, in Unix seconds.
    pub started_at: Option<i64>,
    /// When the run ended, in Unix seconds.
    pub ended_at: Option<i64>,
    /// Labels of the runner, for job deliveries.
    #[serde(default)]
    pub runner_labels: Vec<String>,
}

// === impl FailureClass ===

impl FailureClass {
    /// All ten, in the model's output order.
    pub const ALL: [Self; 10] = [
        Self::Build,
        Self::Configuration,
        Self::Dependency,
        Self::Deployment,
        Self::Network,
        Self::Permission,
        Self::Resource,
        Self::SecurityScan,
        Self::Test,
        Self::Timeout,
    ];

    /// The name people see and programs store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "Build Failure",
            Self::Configuration => "Configuration Error",
            Self::Dependency => "Dependency Error",
            Self::Deployment => "Deployment Failure",
            Self::Network => "Network Error",
            Self::Permission => "Permission Error",
            Self::Resource => "Resource Exhaustion",
            Self::SecurityScan => "Security Scan Failure",
            Self::Test => "Test Failure",
            Self::Timeout => "Timeout",
        }
    }

    /// The class with exactly this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// What to do about it, in one or two sentences, where neither a signature nor a kind says it better.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Build => {
                "Mend the code at the place that the first error names. Later errors often follow from it."
            }
            Self::Configuration => {
                "Mend the workflow or the tool's settings at the place that the message names."
            }
            Self::Dependency => {
                "Check the names and versions of the packages, and that the lock file fits them."
            }
            Self::Deployment => {
                "Read the platform's answer and its own log. Check what it refused before running again."
            }
            Self::Network => {
                "Run again. If it repeats, check that the host is reachable from the runner, or let the step retry."
            }
            Self::Permission => {
                "Check that the token or key is set, not expired, and has the right that the step needs."
            }
            Self::Resource => "Lower what the step needs of memory, disk or requests, or give it more.",
            Self::SecurityScan => {
                "Read the findings and mend or update what they name. Record a false finding with a reason."
            }
            Self::Test => "Run the named test alone and compare what it expected with what it got.",
            Self::Timeout => "Find out why it was slow or hung. If it needs the time, raise the limit.",
        }
    }

    /// The page of GitHub's documentation about it.
    #[must_use]
    pub fn docs(self) -> &'static str {
        match self {
            Self::Build | Self::Test => "https://docs.github.com/actions/tutorials/build-and-test-code",
            Self::Configuration | Self::Timeout => {
                "https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax"
            }
            Self::Dependency => {
                "https://docs.github.com/actions/reference/workflows-and-actions/dependency-caching"
            }
            Self::Deployment => {
                "https://docs.github.com/actions/reference/workflows-and-actions/deployments-and-environments"
            }
            Self::Network => "https://www.githubstatus.com/",
            Self::Permission => "https://docs.github.com/actions/tutorials/authenticate-with-github_token",
            Self::Resource => "https://docs.github.com/actions/reference/runners/github-hosted-runners",
            Self::SecurityScan => "https://docs.github.com/code-security",
        }
    }

    /// Position in the model's output.
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|class| *class == self).expect("ALL lists every class")
    }
}

// === impl Conclusion ===

impl Conclusion {
    /// The conclusions of a run that are looked into; `None` for every other, known or new.
    #[must_use]
    pub fn parse_of_run(text: &str) -> Option<Self> {
        match text {
            "cancelled" => Some(Self::Cancelled),
            text => Self::parse(text),
        }
    }

    /// The conclusions of a job, a step or a check that are failures; `None` for every other, known or new.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "failure" => Some(Self::Failure),
            "timed_out" => Some(Self::TimedOut),
            "startup_failure" => Some(Self::StartupFailure),
            _ => None,
        }
    }
}

// === impl Subject ===

impl Subject {
    /// The idempotency key of a verdict about this subject, unique within a repository.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Run { run_id, run_attempt } => format!("run:{run_id}:{run_attempt}"),
            Self::Job { job_id, .. } => format!("job:{job_id}"),
        }
    }

    /// The run, where it is known, and its attempt, from 1.
    #[must_use]
    pub fn run(&self) -> (Option<u64>, u32) {
        match self {
            Self::Run { run_id, run_attempt } => (Some(*run_id), *run_attempt),
            Self::Job { run_id, run_attempt, .. } => (*run_id, *run_attempt),
        }
    }

    /// The subject with this [`Subject::key`], as far as the key tells it; None for anything else. A job's key names neither
    /// its run nor the attempt.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        match key.split_once(':')? {
            ("run", numbers) => {
                let (run_id, run_attempt) = numbers.split_once(':')?;
                Some(Self::Run { run_id: run_id.parse().ok()?, run_attempt: run_attempt.parse().ok()? })
            }
            ("job", job_id) => Some(Self::Job { job_id: job_id.parse().ok()?, run_id: None, run_attempt: 1 }),
            _ => None,
        }
    }

    /// Which attempt of the run this was, from 1.
    #[must_use]
    pub fn run_attempt(&self) -> u32 {
        match self {
            Self::Run { run_attempt, .. } | Self::Job { run_attempt, .. } => *run_attempt,
        }
    }
}

// === impl FailureRecord ===

impl FailureRecord {
    /// Seconds from start to end, where both are known and in order.
    #[must_use]
    pub fn duration_seconds(&self) -> Option<f64> {
        let seconds = self.ended_at?.checked_sub(self.started_at?)?;
        (seconds >= 0).then_some(seconds as f64)
    }
}

/// Whether an event that started a run is one of a pull request.
/// <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows>
#[must_use]
pub fn is_of_pull(trigger: Option<&str>) -> bool {
    matches!(trigger, Some("pull_request" | "pull_request_target"))
}

/// The first [`FIELD_CHARS`] characters of `text`, with hidden characters written out.
#[must_use]
pub fn bounded(text: &str) -> String {
    let text = crate::text::line(text);
    match text.char_indices().nth(FIELD_CHARS) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_sorted_as_the_label_encoder_sorts_them() {
        let names: Vec<_> = FailureClass::ALL.iter().map(|class| class.name()).collect();
        assert!(names.is_sorted());
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::parse(class.name()), Some(class));
            assert_eq!(FailureClass::ALL[class.index()], class);
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.name()));
        }
    }

    #[test]
    fn a_subject_is_known_by_its_key() {
        let run = Subject::Run { run_id: 7, run_attempt: 2 };
        let job = Subject::Job { job_id: 9, run_id: None, run_attempt: 1 };
        for subject in [run, job] {
            assert_eq!(Subject::parse(&subject.key()), Some(subject));
        }
        for key in ["", "run:7", "run:7:x", "job:", "pull:7", "7"] {
            assert_eq!(Subject::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_field_is_cut_on_a_character_and_never_inside_one() {
        assert_eq!(bounded(&"é".repeat(FIELD_CHARS + 9)).chars().count(), FIELD_CHARS);
        assert_eq!(bounded("short"), "short");
    }
}
