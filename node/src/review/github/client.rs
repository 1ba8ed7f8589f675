//! Calls to GitHub: who makes them, how they are bounded, and how an answer is read.

use super::auth::{Auth, Credentials};
use super::error::JobError;
use super::pages::{last_page, next_page};
use crate::database::Store;
use crate::operate::metrics::Metrics;
use reqwest::Method;
use sentinel_shared::github::answer::{Answer, Meaning};
use sentinel_shared::store::pauses::{self, Identity, Reason};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// The time limit of one call. A lease outlives it, so two nodes do not post the same job.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// The largest answer that is read. A page of 100 files with patches is under 10 MB.
const ANSWER_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// A client for GitHub's API at one address.
pub struct Github {
    http: reqwest::Client,
    api: String,
    deadline: Duration,
    pub(super) auth: Auth,
    pub(super) store: Arc<Store>,
    pub(super) metrics: Arc<Metrics>,
}

/// The answer to a call.
pub(super) struct Answered {
    pub(super) body: Vec<u8>,
    /// For a list in pages, the number of the last page, if this is not the last.
    pub(super) last_page: Option<usize>,
    /// For a list in pages, the address of the next page.
    pub(super) next: Option<String>,
}

/// The API as one installation, or the personal token, sees it.
pub struct Access<'a> {
    pub(super) github: &'a Github,
    pub(super) installation: Option<u64>,
    pub(super) repository: &'a str,
}

// === impl Github ===

impl Github {
    /// Makes a client for the API at `api`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        api: &str,
        deadline: Duration,
        credentials: Credentials,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let api = api.trim_end_matches('/').to_owned();
        Self { http, api, deadline: deadline.min(DEADLINE), auth: Auth::new(credentials), store, metrics }
    }

    /// Whether check runs can be created. GitHub allows only Apps.
    #[must_use]
    pub fn is_app(&self) -> bool {
        self.auth.is_app()
    }

    /// Our identity at GitHub.
    #[must_use]
    pub fn identity(&self) -> Identity {
        if self.is_app() { Identity::App } else { Identity::Token }
    }

    /// The account that a call for a job of this installation, or the trouble it met, belongs to.
    #[must_use]
    pub fn account(&self, installation: Option<u64>, reason: Option<Reason>) -> String {
        match reason {
            // Without its key, the App can do nothing for anybody.
            Some(Reason::KeyRefused) => self.identity().label().to_owned(),
            _ => pauses::account_of(self.identity(), installation),
        }
    }

    /// Asks GitHub whether it accepts our token or key.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn introduce(&self) -> Result<(), JobError> {
        self.login().await.map(drop)
    }

    /// The API for `repository`, through the installation the event came by, or the one GitHub names.
    ///
    /// # Errors
    /// The App is not installed there.
    pub async fn access<'a>(
        &'a self,
        repository: &'a str,
        installation: Option<u64>,
    ) -> Result<Access<'a>, JobError> {
        let installation = match installation {
            None if self.is_app() => Some(self.installation_of(repository).await?),
            known => known.filter(|_| self.is_app()),
        };
        Ok(Access { github: self, installation, repository })
    }

    /// Makes one call, reads its answer within the limit, and decides what it means.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<&Json>,
    ) -> Result<Answered, JobError> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.api))
            .timeout(self.deadline)
            .bearer_auth(bearer)
            .header("accept", "application/vnd.github+json")
            .header("user-agent", "sentinel")
            .header("x-github-api-version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(body);
        }
        let outcome = match request.send().await {
            Ok(answer) => judge(answer, path).await,
            Err(cause) => Err(away(format!(
                "GitHub can't be reached: {}",
                if cause.is_timeout() { "no answer in time" } else { "no connection" }
            ))),
        };
        let label = match &outcome {
            Ok(_) => "ok",
            Err(JobError::Elsewhere { reason, .. }) => reason.map_or("again", Reason::label),
            Err(JobError::Failed(_)) => "again",
            Err(JobError::Refused(_)) => "refused",
            Err(JobError::Unprocessable(_)) => "unprocessable",
            Err(JobError::NotFound(_)) => "not_found",
        };
        self.metrics.github_calls.with_label_values(&[label]).inc();
        outcome
    }

    /// Makes a call that the App signs itself.
    pub(super) async fn call_as_app(&self, method: Method, path: &str) -> Result<Answered, JobError> {
        self.call(method, path, &self.auth.jwt()?, None).await.map_err(JobError::of_the_key)
    }
}

// === impl Access ===

impl Access<'_> {
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, JobError> {
        parse(&self.call(Method::GET, path, None).await?.body)
    }

    /// Makes a call with this installation's token. If GitHub revoked the token early, tries once more with a new one.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Answered, JobError> {
        let bearer = self.github.bearer(self.installation).await?;
        match self.github.call(method.clone(), path, &bearer, body).await {
            Err(error) if error.reason() == Some(Reason::TokenRefused) && self.installation.is_some() => {
                self.github.forget_bearer(self.installation);
                let bearer = self.github.bearer(self.installation).await?;
                self.github.call(method, path, &bearer, body).await
            }
            outcome => outcome,
        }
    }
}

/// The error if GitHub cannot be reached, or if something else answers.
fn away(what: String) -> JobError {
    JobError::Elsewhere { reason: Some(Reason::GithubAway), what, after: None }
}

/// Parses an answer. Text that is not JSON is a proxy's page while GitHub is down. JSON of another shape is the fault
/// of this call, and so of this job.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, JobError> {
    serde_json::from_slice(body).map_err(|cause| {
        if cause.is_data() {
            JobError::Failed("GitHub answered in another shape".to_owned())
        } else {
            away("GitHub answered with something that is no JSON".to_owned())
        }
    })
}

/// Decides what an answer means for a job.
async fn judge(answer: reqwest::Response, path: &str) -> Result<Answered, JobError> {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = capped(answer).await?;
    // GitHub's own sentence; it quotes paths and names, never content.
    let message = serde_json::from_slice::<Json>(&body).ok();
    let message = message.as_ref().and_then(|json| json["message"].as_str()).unwrap_or("no reason given");
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let meaning = Meaning::of(
        &Answer {
            status,
            retry_after: header("retry-after"),
            remaining: header("x-ratelimit-remaining"),
            reset: header("x-ratelimit-reset"),
            message,
        },
        crate::database::now(),
    );
    if meaning == Meaning::Done {
        return Ok(Answered { last_page: last_page(&headers), next: next_page(&headers), body });
    }
    let route = path.split('?').next().unwrap_or(path);
    let what = format!("{status} for {route}: {message}");
    warn!("github.answered: {what}");
    let elsewhere = |reason, what, after| JobError::Elsewhere { reason: Some(reason), what, after };
    Err(match meaning {
        Meaning::Limited(wait) => elsewhere(Reason::Limited, what, Some(wait)),
        Meaning::Away(wait) => elsewhere(Reason::GithubAway, what, wait),
        Meaning::TokenRefused => elsewhere(Reason::TokenRefused, what, None),
        Meaning::Unprocessable => JobError::Unprocessable(what),
        Meaning::Absent => JobError::NotFound(what),
        Meaning::Done | Meaning::Moved | Meaning::Refused => JobError::Refused(what),
    })
}

async fn capped(mut answer: reqwest::Response) -> Result<Vec<u8>, JobError> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return Ok(bytes),
            Err(_) => return Err(away("an answer of GitHub broke off".to_owned())),
        }
        if bytes.len() > ANSWER_LIMIT_BYTES {
            return Err(JobError::Refused(format!(
                "an answer of GitHub is larger than {ANSWER_LIMIT_BYTES} bytes"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_people_is_an_outage_and_json_of_another_shape_is_the_jobs_own_failure() {
        let reason = |body: &str| parse::<Vec<u32>>(body.as_bytes()).map_err(|error| error.reason());
        assert_eq!(reason("[1]"), Ok(vec![1]));
        assert_eq!(reason("<!doctype html>"), Err(Some(Reason::GithubAway)));
        assert_eq!(reason("[1,"), Err(Some(Reason::GithubAway)));
        assert_eq!(reason("{\"message\":\"x\"}"), Err(None));
    }
}
