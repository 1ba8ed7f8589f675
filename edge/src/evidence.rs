//! What GitHub's API adds to a delivery: the failed attempt's first failed job, its steps, and its log's tail.
//!
//! Every call has a deadline and a byte cap. The log is fetched from where GitHub redirects to, only if that
//! host is on the list, and without our `Authorization`, which is not that host's to see.

use crate::app::App;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use sentinel_shared::excerpt::{Excerpt, ExcerptFinder};
use sentinel_shared::failure::{FailureRecord, Subject};
use sentinel_shared::features::JobEvidence;
use sentinel_shared::github::{JobsPage, WorkflowJob};
use sentinel_shared::store::EvidenceKind;
use sentinel_shared::{Error, Result};
use std::pin::pin;
use std::time::Duration;
use worker::{
    Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, Url, console_warn,
};

/// For everything here together: a delivery must be done well before its lease ends.
const DEADLINE: Duration = Duration::from_secs(20);
/// The end of a log that is read: the failed step is there, and a worker's CPU time is short.
const LOG_TAIL_BYTES: u64 = 1024 * 1024;
/// The most of one API answer that is read; a page of 100 jobs with steps is under 1 MB.
const ANSWER_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Pages of jobs that are looked through, of 100 each.
const JOB_PAGES: u32 = 3;

#[derive(Default)]
pub(crate) struct Evidence {
    pub(crate) job: Option<JobEvidence>,
    pub(crate) excerpt: Excerpt,
    /// Only the tail was read, so line numbers are not the log's.
    pub(crate) log_is_cut: bool,
    has_log: bool,
}

impl Evidence {
    pub(crate) fn kind(&self) -> EvidenceKind {
        match (&self.job, self.has_log) {
            (_, true) => EvidenceKind::Log,
            (Some(_), false) => EvidenceKind::Job,
            (None, false) => EvidenceKind::Payload,
        }
    }
}

/// Gathers what can be had. Nothing to be had (no token, no such job, no log) is not an error.
///
/// # Errors
/// [`Error::GithubUnavailable`] when trying again later may give more.
pub(crate) async fn gather(app: &App, record: &FailureRecord) -> Result<Evidence> {
    let Some(token) = &app.config.github_token else { return Ok(Evidence::default()) };
    let github = Github { api: &app.config.github_api_url, token, log_hosts: &app.config.log_hosts };
    match select(pin!(github.gather(record)), Delay::from(DEADLINE)).await {
        Either::Left((evidence, _)) => evidence,
        Either::Right(_) => Err(Error::GithubUnavailable("no answer in time")),
    }
}

/// Whether `login` may write to `repository`; false without a token to ask with.
///
/// # Errors
/// [`Error::GithubUnavailable`] when trying again later may tell.
pub(crate) async fn may_write(app: &App, repository: &str, login: &str) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Permission {
        permission: String,
    }
    let Some(token) = &app.config.github_token else { return Ok(false) };
    let github = Github { api: &app.config.github_api_url, token, log_hosts: &app.config.log_hosts };
    let path = format!("/repos/{repository}/collaborators/{login}/permission");
    match select(pin!(github.json::<Permission>(&path)), Delay::from(DEADLINE)).await {
        // `maintain` is told as `write` here.
        Either::Left((answer, _)) => {
            Ok(answer?.is_some_and(|answer| matches!(answer.permission.as_str(), "admin" | "write")))
        }
        Either::Right(_) => Err(Error::GithubUnavailable("no answer in time")),
    }
}

struct Github<'a> {
    api: &'a str,
    token: &'a str,
    log_hosts: &'a [String],
}

impl Github<'_> {
    async fn gather(&self, record: &FailureRecord) -> Result<Evidence> {
        let Some(job) = self.failed_job(record).await? else { return Ok(Evidence::default()) };
        let job = JobEvidence::of(&job);
        let Some(id) = job.job_id else { return Ok(Evidence { job: Some(job), ..Evidence::default() }) };
        match self.log(&record.repository, id).await? {
            Some((excerpt, log_is_cut)) => {
                Ok(Evidence { job: Some(job), has_log: true, excerpt, log_is_cut })
            }
            None => Ok(Evidence { job: Some(job), ..Evidence::default() }),
        }
    }

    /// The first job that failed, of the attempt the delivery is about.
    async fn failed_job(&self, record: &FailureRecord) -> Result<Option<WorkflowJob>> {
        let repository = &record.repository;
        if let Subject::Job { job_id, .. } = record.subject {
            return self.json(&format!("/repos/{repository}/actions/jobs/{job_id}")).await;
        }
        let Subject::Run { run_id, run_attempt } = record.subject else { return Ok(None) };
        let mut seen = 0;
        for page in 1..=JOB_PAGES {
            let path = format!(
                "/repos/{repository}/actions/runs/{run_id}/attempts/{run_attempt}/jobs?per_page=100&page={page}"
            );
            let Some(answer) = self.json::<JobsPage>(&path).await? else { return Ok(None) };
            seen += answer.jobs.len() as u64;
            let is_last = answer.jobs.is_empty() || seen >= answer.total_count;
            let found = answer.jobs.into_iter().find(WorkflowJob::has_failed);
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The excerpt of a job's log, and whether only its tail was read. None where there is no log (any more).
    async fn log(&self, repository: &str, job_id: u64) -> Result<Option<(Excerpt, bool)>> {
        let response = self.api(&format!("/repos/{repository}/actions/jobs/{job_id}/logs")).await?;
        let location = match response.status_code() {
            302 | 307 => response.headers().get("location").ok().flatten(),
            status => return self.absent(status).map(|()| None),
        };
        let Some(url) =
            location.and_then(|location| Url::parse(&location).ok()).filter(|url| self.allows(url))
        else {
            console_warn!(
                "evidence.redirect_refused: a log was redirected to a host that is not on the list"
            );
            return Ok(None);
        };
        let response = self.blob(&url, None).await?;
        let length =
            response.headers().get("content-length").ok().flatten().and_then(|n| n.parse::<u64>().ok());
        let start = length.unwrap_or(0).saturating_sub(LOG_TAIL_BYTES);
        if start == 0 {
            return read_log(response, false).await;
        }
        drop(response);
        let tail = self.blob(&url, Some(start)).await?;
        let is_tail = tail.status_code() == 206;
        read_log(tail, is_tail).await
    }

    fn allows(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let with_port = url.port().map(|port| format!("{host}:{port}"));
        self.log_hosts.iter().any(|allowed| match allowed.strip_prefix('.') {
            Some(_) => url.scheme() == "https" && host.ends_with(allowed.as_str()),
            // A host that is named exactly, with its port, is an operator's own choice: plain HTTP may do.
            None => with_port.as_ref() == Some(allowed) || (url.scheme() == "https" && host == *allowed),
        })
    }

    /// The JSON at `path`; None for what does not exist or is not ours to see.
    async fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let mut response = self.api(path).await?;
        if response.status_code() != 200 {
            return self.absent(response.status_code()).map(|()| None);
        }
        let body = capped(&mut response, ANSWER_LIMIT_BYTES).await?;
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|_| Error::GithubUnavailable("an answer of another shape"))
    }

    /// Whether `status` means that there is nothing, or that trying again may help.
    fn absent(&self, status: u16) -> Result<()> {
        match status {
            429 | 500..=599 => Err(Error::GithubUnavailable("it is overloaded or limits our rate")),
            _ => {
                console_warn!("evidence.absent: GitHub answered {status}");
                Ok(())
            }
        }
    }

    async fn api(&self, path: &str) -> Result<Response> {
        let headers = [
            ("accept", "application/vnd.github+json"),
            ("authorization", &format!("Bearer {}", self.token)),
            ("user-agent", "sentinel"),
            ("x-github-api-version", "2022-11-28"),
        ];
        fetch(&format!("{}{path}", self.api), &headers).await
    }

    async fn blob(&self, url: &Url, start: Option<u64>) -> Result<Response> {
        let range = start.map(|start| format!("bytes={start}-"));
        let mut headers = vec![("user-agent", "sentinel")];
        headers.extend(range.as_deref().map(|range| ("range", range)));
        fetch(url.as_str(), &headers).await
    }
}

/// Posts nothing to `path` of GitHub's API, without a token; None for what does not exist (any more).
pub(crate) async fn exchange<T: serde::de::DeserializeOwned>(app: &App, path: &str) -> Result<Option<T>> {
    let headers = [("accept", "application/vnd.github+json"), ("user-agent", "sentinel")];
    let url = format!("{}{path}", app.config.github_api_url);
    let mut response = send(Method::Post, &url, &headers).await?;
    match response.status_code() {
        200 | 201 => {
            let body = capped(&mut response, ANSWER_LIMIT_BYTES).await?;
            let read = serde_json::from_slice(&body).map(Some);
            read.map_err(|_| Error::GithubUnavailable("an answer of another shape"))
        }
        404 | 422 => Ok(None),
        _ => Err(Error::GithubUnavailable("it did not take the code")),
    }
}

async fn fetch(url: &str, headers: &[(&str, &str)]) -> Result<Response> {
    send(Method::Get, url, headers).await
}

async fn send(method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let send = async {
        let sent = Headers::new();
        for (name, value) in headers {
            sent.set(name, value)?;
        }
        let mut init = RequestInit::new();
        init.with_method(method).with_headers(sent).with_redirect(RequestRedirect::Manual);
        Fetch::Request(Request::new_with_init(url, &init)?).send().await
    };
    send.await.map_err(|_: worker::Error| Error::GithubUnavailable("it can't be reached"))
}

/// Streams a log into its excerpt, at most the tail's length of it.
async fn read_log(mut response: Response, is_cut: bool) -> Result<Option<(Excerpt, bool)>> {
    if !matches!(response.status_code(), 200 | 206) {
        return Ok(None);
    }
    let mut finder = ExcerptFinder::new();
    let mut left = LOG_TAIL_BYTES as usize;
    let mut stream = response.stream().map_err(|_| unreadable())?;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| unreadable())?;
        finder.push(&piece[..piece.len().min(left)]);
        left = left.saturating_sub(piece.len());
        if left == 0 {
            break;
        }
    }
    let excerpt = finder.finish();
    Ok((!excerpt.binary).then_some((excerpt, is_cut)))
}

async fn capped(response: &mut Response, limit_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut stream = response.stream().map_err(|_| unreadable())?;
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| unreadable())?);
        if bytes.len() > limit_bytes {
            return Err(Error::GithubUnavailable("an answer beyond the cap"));
        }
    }
    Ok(bytes)
}

fn unreadable() -> Error {
    Error::GithubUnavailable("an answer broke off")
}
