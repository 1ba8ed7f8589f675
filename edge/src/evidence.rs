//! Asks GitHub for what a delivery lacks: the failed attempt's first failed job with a log, its steps, and the end of
//! its log.
//!
//! Everything here together has a deadline and a limit of calls. What cannot be had now is distinguished from what does
//! not exist, because only the first is worth waiting for.

use crate::config::Config;
use crate::github::{Github, Stop, away, dismiss};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use sentinel_shared::Error;
use sentinel_shared::evidence::{GithubStanding, JOB_PAGES, LOG_END_BYTES, LogEnd, LogPart, Note, Trouble};
use sentinel_shared::excerpt::{Excerpt, ExcerptFinder};
use sentinel_shared::failure::{FailureRecord, Subject};
use sentinel_shared::features::JobEvidence;
use sentinel_shared::github::answer::Meaning;
use sentinel_shared::github::{JobsPage, WorkflowJob};
use sentinel_shared::store::inferences::EvidenceKind;
use std::pin::pin;
use std::time::Duration;
use worker::{Delay, Response, Url};

/// The time limit for everything here together. A delivery must be done well before its lease ends.
const DEADLINE: Duration = Duration::from_secs(20);
/// The largest number of calls to GitHub about one delivery: a page of jobs and two logs, and one more. The sweep
/// depends on it, because a free account's worker may make 50 calls per event.
pub(crate) const CALLS_MAX: usize = 8;
/// The smallest number of calls for one log: its address, its length, and its end.
const CALLS_OF_A_LOG: usize = 3;
/// The largest number of failed jobs whose logs are asked for, until one has a log.
const JOBS_TRIED_MAX: usize = 3;
/// The largest part of a log without a length or ranges that is streamed to find its end.
const LOG_READ_BYTES: u64 = 64 * 1024 * 1024;
/// The longest time that such a log is streamed. It is well within the deadline, so that what was read is not lost.
const LOG_READ_TIME: Duration = Duration::from_secs(10);
/// The first bytes of every gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Default)]
pub(crate) struct Evidence {
    pub(crate) job: Option<JobEvidence>,
    pub(crate) excerpt: Excerpt,
    /// The part of the log that the excerpt is from; None without a log.
    pub(crate) log: Option<LogPart>,
    pub(crate) notes: Vec<Note>,
    /// The reason why there is no more now, if there may be more later.
    pub(crate) trouble: Option<Trouble>,
    /// The number of calls that were made.
    pub(crate) calls: usize,
}

/// The result of trying to read the log of one failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The worker has no token.
    NoToken,
    /// Logs can be read.
    Works,
    /// The token is accepted, but there is no run yet to try it on.
    Untried,
    /// The token does not see the run. It belongs to another repository, or it was deleted.
    Absent,
    /// The token lacks a permission.
    Refused,
    /// GitHub gives nothing now.
    Trouble(Trouble),
}

impl Evidence {
    pub(crate) fn kind(&self) -> EvidenceKind {
        match (&self.job, self.log) {
            (_, Some(_)) => EvidenceKind::Log,
            (Some(_), None) => EvidenceKind::Job,
            (None, None) => EvidenceKind::Payload,
        }
    }

    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl Check {
    /// The result as the API says it.
    pub(crate) fn standing(self) -> GithubStanding {
        match self {
            Self::NoToken => GithubStanding::NoToken,
            Self::Works => GithubStanding::Works,
            Self::Untried => GithubStanding::Untried,
            Self::Absent => GithubStanding::Absent,
            Self::Refused => GithubStanding::Refused,
            Self::Trouble(trouble) => trouble.standing(),
        }
    }
}

/// Gathers the evidence that GitHub gives now. It is no trouble if there is none (no token, no such job, no log).
pub(crate) async fn gather(config: &Config, record: &FailureRecord) -> Evidence {
    let mut evidence = Evidence::default();
    let Some(github) = Github::of(config, CALLS_MAX) else { return evidence };
    let ended = match select(pin!(gather_with(&github, record, &mut evidence)), Delay::from(DEADLINE)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => Err(away("no answer in time")),
    };
    evidence.calls = github.calls();
    if let Err(Stop::Trouble(trouble)) = ended {
        evidence.trouble = Some(trouble);
    }
    evidence
}

/// Tries to read the log of the last failed run or job. Without one, it only tries the token.
pub(crate) async fn check(config: &Config, last: Option<(&str, &str)>) -> Check {
    let Some(github) = Github::of(config, CALLS_MAX) else { return Check::NoToken };
    match select(pin!(check_with(&github, last)), Delay::from(DEADLINE)).await {
        Either::Left((Ok(check), _)) => check,
        Either::Left((Err(Stop::Trouble(trouble)), _)) => Check::Trouble(trouble),
        Either::Left((Err(Stop::CallsSpent), _)) | Either::Right(_) => Check::Trouble(Trouble::Away(None)),
    }
}

/// Whether `login` may write to `repository`; false if there is no token to ask with.
///
/// # Errors
/// [`Error::GithubUnavailable`] when trying again later may tell.
pub(crate) async fn may_write(config: &Config, repository: &str, login: &str) -> Result<bool, Error> {
    #[derive(serde::Deserialize)]
    struct Permission {
        permission: String,
    }
    let Some(github) = Github::of(config, 1) else { return Ok(false) };
    let path = format!("/repos/{repository}/collaborators/{login}/permission");
    match select(pin!(github.json::<Permission>(&path)), Delay::from(DEADLINE)).await {
        // `maintain` is told as `write` here.
        Either::Left((answer, _)) => {
            Ok(answer?.is_some_and(|answer| matches!(answer.permission.as_str(), "admin" | "write")))
        }
        Either::Right(_) => Err(Error::GithubUnavailable("no answer in time")),
    }
}

async fn gather_with(
    github: &Github<'_>,
    record: &FailureRecord,
    evidence: &mut Evidence,
) -> Result<(), Stop> {
    let repository = &record.repository;
    let (run_id, run_attempt) = match record.subject {
        Subject::Job { job_id, .. } => {
            let job = github.json(&job_path(repository, job_id)).await?;
            return look_at(github, repository, job.into_iter().collect(), evidence).await;
        }
        Subject::Run { run_id, run_attempt } => (run_id, run_attempt),
    };
    let mut seen = 0;
    for page in 1..=JOB_PAGES {
        if !github.may_call(1) {
            break;
        }
        let path = jobs_path(repository, run_id, run_attempt, page);
        let Some(JobsPage { total_count, jobs }) = github.json(&path).await? else { break };
        if total_count > u64::from(JOB_PAGES) * 100 {
            evidence.note(Note::JobsCut);
        }
        seen += jobs.len() as u64;
        let is_last = jobs.is_empty() || seen >= total_count;
        let failed = jobs.into_iter().filter(WorkflowJob::has_failed).collect();
        look_at(github, repository, failed, evidence).await?;
        if evidence.log.is_some() || is_last {
            break;
        }
    }
    Ok(())
}

/// Reads the log of the first of `jobs` that has one. If none has one, the steps of the first job are used.
async fn look_at(
    github: &Github<'_>,
    repository: &str,
    jobs: Vec<WorkflowJob>,
    evidence: &mut Evidence,
) -> Result<(), Stop> {
    for job in jobs.iter().take(JOBS_TRIED_MAX) {
        let job = JobEvidence::of(job);
        let id = job.job_id;
        let is_first = evidence.job.is_none();
        if is_first {
            evidence.job = Some(job.clone());
        }
        let Some(id) = id.filter(|_| github.may_call(CALLS_OF_A_LOG)) else { continue };
        if let Some((excerpt, part)) = log(github, repository, id).await? {
            (evidence.excerpt, evidence.log, evidence.job) = (excerpt, Some(part), Some(job));
            if !is_first {
                evidence.note(Note::LaterJob);
            }
            if part == LogPart::Beginning {
                evidence.note(Note::LogBeginning);
            }
            return Ok(());
        }
    }
    Ok(())
}

/// The excerpt of a job's log, and the part it is from. None if there is no log, or no longer one.
async fn log(github: &Github<'_>, repository: &str, job_id: u64) -> Result<Option<(Excerpt, LogPart)>, Stop> {
    // The signature in an address does not hold for long: one that is over is asked for anew, once.
    for _ in 0..2 {
        let Some(url) = github.address(&log_path(repository, job_id)).await? else { return Ok(None) };
        if let Some((end, part)) = read(github, &url).await? {
            let bytes = end.bytes();
            let mut finder = ExcerptFinder::new();
            finder.push(bytes);
            let excerpt = finder.finish();
            let is_text = !excerpt.binary && !bytes.starts_with(&GZIP_MAGIC);
            return Ok(is_text.then_some((excerpt, part)));
        }
    }
    Ok(None)
}

/// Reads the end of the log at `url`. None if it is not there, or no longer there.
async fn read(github: &Github<'_>, url: &Url) -> Result<Option<(LogEnd, LogPart)>, Stop> {
    let Some(whole) = github.stored(url, None).await? else { return Ok(None) };
    let start = length(&whole).map(|length| length.saturating_sub(LOG_END_BYTES));
    let Some(start) = start.filter(|start| *start > 0) else {
        return stream(whole, LogPart::Whole).await.map(Some);
    };
    dismiss(whole);
    match github.stored(url, Some(start)).await? {
        None => Ok(None),
        Some(end) if end.status_code() == 206 => stream(end, LogPart::End).await.map(Some),
        // A host that ignores ranges.
        Some(whole) => stream(whole, LogPart::Whole).await.map(Some),
    }
}

/// The length of a body. The length of a compressed body is not used, because it is not the text's.
fn length(response: &Response) -> Option<usize> {
    let header = |name: &str| response.headers().get(name).ok().flatten();
    if header("content-encoding").is_some_and(|encoding| encoding != "identity") {
        return None;
    }
    header("content-length")?.parse().ok()
}

/// Streams `part` of a log and keeps its end. Says so if the end was not reached.
async fn stream(mut response: Response, part: LogPart) -> Result<(LogEnd, LogPart), Stop> {
    let mut end = LogEnd::default();
    let mut time = Delay::from(LOG_READ_TIME);
    let mut pieces = response.stream().map_err(|_| away("a log can't be read"))?;
    loop {
        match select(pieces.next(), &mut time).await {
            Either::Left((Some(Ok(piece)), _)) => end.push(&piece),
            Either::Left((Some(Err(_)), _)) => return Err(away("a log broke off")),
            Either::Left((None, _)) => {
                let whole = if end.is_cut() { LogPart::End } else { LogPart::Whole };
                return Ok((end, if part == LogPart::Whole { whole } else { part }));
            }
            Either::Right(_) if part == LogPart::End || end.read_bytes() == 0 => {
                return Err(away("a log did not come in time"));
            }
            Either::Right(_) => break,
        }
        if end.read_bytes() > LOG_READ_BYTES {
            break;
        }
    }
    Ok((end, LogPart::Beginning))
}

async fn check_with(github: &Github<'_>, last: Option<(&str, &str)>) -> Result<Check, Stop> {
    let Some((repository, subject)) = last else {
        // Costs nothing of what GitHub allows.
        github.ask("/rate_limit").await?;
        return Ok(Check::Untried);
    };
    let found = |meaning| match meaning {
        Meaning::Done => None,
        Meaning::Refused => Some(Check::Refused),
        _ => Some(Check::Absent),
    };
    let numbers: Vec<u64> = subject.split(':').skip(1).filter_map(|number| number.parse().ok()).collect();
    let job = match numbers.as_slice() {
        [run_id, attempt] => {
            let attempt = u32::try_from(*attempt).unwrap_or(1);
            let path = jobs_path(repository, *run_id, attempt, 1);
            let (meaning, mut response) = github.ask(&path).await?;
            if let Some(check) = found(meaning) {
                return Ok(check);
            }
            let page: JobsPage = response.json().await.map_err(|_| away("an answer of another shape"))?;
            page.jobs.into_iter().find(WorkflowJob::has_failed).and_then(|job| job.id)
        }
        [job_id] => Some(*job_id),
        _ => None,
    };
    let Some(job) = job else { return Ok(Check::Untried) };
    let (meaning, response) = github.ask(&log_path(repository, job)).await?;
    dismiss(response);
    // A log that is gone is no fault of the token: it told which job failed.
    Ok(if meaning == Meaning::Refused { Check::Refused } else { Check::Works })
}

fn job_path(repository: &str, job_id: u64) -> String {
    format!("/repos/{repository}/actions/jobs/{job_id}")
}

fn log_path(repository: &str, job_id: u64) -> String {
    format!("{}/logs", job_path(repository, job_id))
}

fn jobs_path(repository: &str, run_id: u64, run_attempt: u32, page: u32) -> String {
    format!("/repos/{repository}/actions/runs/{run_id}/attempts/{run_attempt}/jobs?per_page=100&page={page}")
}
