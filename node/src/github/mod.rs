//! GitHub's REST API, as far as a review needs it.
//!
//! Here: calls, pages, limits and what an answer means for a job ([`Trouble`]). Not here: what is said; that is
//! `sentinel_shared::review::render`'s, and in which order; that is [`crate::reviewer`]'s.

mod auth;
mod deliveries;
mod jwt;
mod writes;

pub use auth::Credentials;
pub use jwt::AppKey;
pub use writes::Turn;

use crate::metrics::Metrics;
use crate::store::Store;
use auth::Auth;
use reqwest::{Method, StatusCode};
use sentinel_shared::github::PullRequest;
use sentinel_shared::review::Finding;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// For one call, unless the operator says less. A lease outlives it, so a job is not posted by two nodes.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// The most of one answer that is read; a page of 100 files with patches is under 10 MB.
const ANSWER_LIMIT_BYTES: usize = 32 * 1024 * 1024;
const PER_PAGE: usize = 100;
/// GitHub lists at most 3,000 files of a pull request.
const FILE_PAGES: usize = 30;
/// Pages of reviews and comments that are looked through, the newest included.
const TALK_PAGES: usize = 30;
/// Pages of reactions to one comment that are read.
const REACTION_PAGES: usize = 3;
/// The wait where GitHub limits our rate and does not say for how long.
const LIMITED_FOR: Duration = Duration::from_secs(60);
/// No wait is longer: a clock that is wrong must not park a job for a day.
const LIMITED_AT_MOST: Duration = Duration::from_secs(3600);

/// Why a call did not give what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It may later.
    Again {
        /// For the job's record.
        what: String,
        /// How long GitHub asks to wait.
        after: Option<Duration>,
    },
    /// It never will.
    Refused(String),
    /// GitHub does not take our token, any more.
    Unauthorized(String),
    /// GitHub understood and can't: a comment on a line that is not in the diff.
    Unprocessable(String),
    /// There is no such thing, or it is not ours to see.
    NotFound(String),
}

/// The API at one place.
pub struct Github {
    http: reqwest::Client,
    api: String,
    deadline: Duration,
    auth: Auth,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
}

/// The API as seen by one installation, or by the one token.
pub struct Access<'a> {
    github: &'a Github,
    installation: Option<u64>,
    repository: &'a str,
}

/// One file of `GET /repos/{owner}/{repo}/pulls/{number}/files`.
#[derive(Debug, Deserialize)]
pub struct PullFile {
    /// In the new tree.
    pub filename: String,
    /// `added`, `removed`, `modified`, `renamed`, `copied`, `changed` or `unchanged`.
    pub status: String,
    /// Lines added and removed.
    pub changes: u64,
    /// Missing for binary files and for large diffs.
    pub patch: Option<String>,
}

/// A review or comment of ours that is there already.
#[derive(Debug, Clone, Deserialize)]
pub struct Said {
    /// For REST.
    pub id: u64,
    /// For GraphQL.
    #[serde(default)]
    pub node_id: String,
    /// Markdown.
    pub body: Option<String>,
    /// Who wrote it; null when the account is gone.
    pub user: Option<Author>,
    /// Its page.
    #[serde(default)]
    pub html_url: String,
    /// The line it is on; null once that line is gone. Not on reviews.
    pub line: Option<u32>,
    /// The file it is on. Not on reviews.
    #[serde(default)]
    pub path: String,
    /// How people reacted to it. Not on reviews.
    #[serde(default)]
    pub reactions: Reactions,
}

/// How many reactions there are.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Reactions {
    /// Of all kinds.
    pub total_count: u32,
}

/// One person's reaction.
#[derive(Debug, Clone, Deserialize)]
pub struct Reaction {
    /// `+1`, `-1`, `heart` and so on.
    pub content: String,
    /// Who; null when the account is gone.
    pub user: Option<Author>,
}

/// A writer.
#[derive(Debug, Clone, Deserialize)]
pub struct Author {
    /// Login name; an App's ends in `[bot]`.
    pub login: String,
}

/// A check run to be made, or to be brought up to date.
#[derive(Debug, Clone, Copy)]
pub struct CheckRun<'a> {
    /// What it is called on the commit.
    pub name: &'a str,
    /// Its idempotency key.
    pub external_id: &'a str,
    /// The commit.
    pub head_sha: &'a str,
    /// `success` or `neutral`.
    pub conclusion: &'a str,
    /// One line.
    pub title: &'a str,
    /// Markdown.
    pub summary: &'a str,
}

impl Github {
    /// A client for the API at `api`.
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

    /// Whether check runs can be made: GitHub lets only Apps.
    #[must_use]
    pub fn is_app(&self) -> bool {
        self.auth.is_app()
    }

    /// The API for `repository`, through the installation the event came by, or the one GitHub names.
    ///
    /// # Errors
    /// The App is not installed there.
    pub async fn access<'a>(
        &'a self,
        repository: &'a str,
        installation: Option<u64>,
    ) -> Result<Access<'a>, Trouble> {
        let installation = match installation {
            None if self.is_app() => Some(self.installation_of(repository).await?),
            known => known.filter(|_| self.is_app()),
        };
        Ok(Access { github: self, installation, repository })
    }

    /// One call, its answer read within the cap and judged.
    async fn call(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<&Json>,
    ) -> Result<Vec<u8>, Trouble> {
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
            Err(cause) => Err(Trouble::Again {
                what: format!(
                    "GitHub can't be reached: {}",
                    if cause.is_timeout() { "no answer in time" } else { "no connection" }
                ),
                after: None,
            }),
        };
        let label = match &outcome {
            Ok(_) => "ok",
            Err(Trouble::Again { .. }) => "again",
            Err(Trouble::Refused(_) | Trouble::Unauthorized(_)) => "refused",
            Err(Trouble::Unprocessable(_)) => "unprocessable",
            Err(Trouble::NotFound(_)) => "not_found",
        };
        self.metrics.github_calls.with_label_values(&[label]).inc();
        outcome
    }
}

// === impl Access ===

impl Access<'_> {
    /// The pull request as it is now.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn pull(&self, number: u64) -> Result<PullRequest, Trouble> {
        self.get(&format!("/repos/{}/pulls/{number}", self.repository)).await
    }

    /// The files it changes, as many as GitHub lists.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn files(&self, number: u64) -> Result<Vec<PullFile>, Trouble> {
        self.pages(&format!("/repos/{}/pulls/{number}/files", self.repository), FILE_PAGES).await
    }

    /// A small text file at a commit; None where there is none.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn text_file(&self, path: &str, commit: &str) -> Result<Option<String>, Trouble> {
        #[derive(Deserialize)]
        struct Content {
            content: Option<String>,
        }
        let url = format!("/repos/{}/contents/{path}?ref={commit}", self.repository);
        let content = match self.get::<Content>(&url).await {
            Err(Trouble::NotFound(_)) => return Ok(None),
            answer => answer?.content,
        };
        let unreadable = || Trouble::Refused(format!("{path} is no text file"));
        let encoded: String = content.ok_or_else(unreadable)?.split_ascii_whitespace().collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded);
        bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(Some).ok_or_else(unreadable)
    }

    /// Our reviews of a pull request.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn own_reviews(&self, number: u64) -> Result<Vec<Said>, Trouble> {
        self.own(&format!("/repos/{}/pulls/{number}/reviews", self.repository)).await
    }

    /// Our inline comments on a pull request.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn own_comments(&self, number: u64) -> Result<Vec<Said>, Trouble> {
        self.own(&format!("/repos/{}/pulls/{number}/comments", self.repository)).await
    }

    /// The reactions to an inline comment.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn reactions(&self, comment: u64) -> Result<Vec<Reaction>, Trouble> {
        let path = format!("/repos/{}/pulls/comments/{comment}/reactions", self.repository);
        self.pages(&path, REACTION_PAGES).await
    }

    /// Our comments in the conversation of a pull request.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn own_answers(&self, number: u64) -> Result<Vec<Said>, Trouble> {
        self.own(&format!("/repos/{}/issues/{number}/comments", self.repository)).await
    }

    /// The open pull request that a commit is the head of.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn pull_of_commit(&self, head_sha: &str) -> Result<Option<PullRequest>, Trouble> {
        let pulls: Vec<PullRequest> =
            self.pages(&format!("/repos/{}/commits/{head_sha}/pulls", self.repository), 1).await?;
        let is_its_head =
            |pull: &PullRequest| pull.head.sha == head_sha && pull.state.as_deref() == Some("open");
        Ok(pulls.into_iter().find(is_its_head))
    }

    /// Posts one review with all its comments, or nothing of it; its page.
    ///
    /// # Errors
    /// [`Trouble::Unprocessable`] when one of the lines is not in the diff, and does not say which.
    pub async fn post_review(
        &self,
        turn: Turn,
        number: u64,
        head_sha: &str,
        summary: &str,
        comments: &[(&Finding, String)],
    ) -> Result<String, Trouble> {
        let comment = |(finding, body): &(&Finding, String)| json!({ "path": finding.path, "line": finding.line, "side": "RIGHT", "body": body });
        let body = json!({
            "commit_id": head_sha,
            "event": "COMMENT",
            "body": summary,
            "comments": comments.iter().map(comment).collect::<Vec<_>>(),
        });
        let posted: Said = self
            .write(turn, Method::POST, &format!("/repos/{}/pulls/{number}/reviews", self.repository), &body)
            .await?;
        Ok(posted.html_url)
    }

    /// Posts a comment in the conversation; its page.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn post_answer(&self, turn: Turn, number: u64, body: &str) -> Result<String, Trouble> {
        let path = format!("/repos/{}/issues/{number}/comments", self.repository);
        let posted: Said = self.write(turn, Method::POST, &path, &json!({ "body": body })).await?;
        Ok(posted.html_url)
    }

    /// Folds a comment of ours as outdated.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn hide_outdated(&self, turn: Turn, comment: &Said) -> Result<(), Trouble> {
        let query = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) \
                     { minimizedComment { isMinimized } } }";
        let body = json!({ "query": query, "variables": { "id": comment.node_id } });
        self.write::<Json>(turn, Method::POST, "/graphql", &body).await.map(drop)
    }

    /// Makes the check run of this key, or brings it up to date; its page.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn put_check_run(&self, turn: Turn, check: &CheckRun<'_>) -> Result<String, Trouble> {
        #[derive(Deserialize)]
        struct Runs {
            check_runs: Vec<Run>,
        }
        #[derive(Deserialize)]
        struct Run {
            id: u64,
            #[serde(default)]
            external_id: Option<String>,
            #[serde(default)]
            html_url: Option<String>,
        }
        let (repository, head) = (self.repository, check.head_sha);
        let name = check.name.replace(' ', "%20");
        let listed: Runs = self
            .get(&format!("/repos/{repository}/commits/{head}/check-runs?check_name={name}&per_page=100"))
            .await?;
        let body = json!({
            "name": check.name,
            "head_sha": head,
            "external_id": check.external_id,
            "status": "completed",
            "conclusion": check.conclusion,
            "output": { "title": check.title, "summary": check.summary },
        });
        let known =
            listed.check_runs.into_iter().find(|run| run.external_id.as_deref() == Some(check.external_id));
        let run: Run = match known {
            Some(run) => {
                self.write(turn, Method::PATCH, &format!("/repos/{repository}/check-runs/{}", run.id), &body)
                    .await?
            }
            None => self.write(turn, Method::POST, &format!("/repos/{repository}/check-runs"), &body).await?,
        };
        Ok(run.html_url.unwrap_or_default())
    }

    /// Everything at `path` that this client's account wrote.
    async fn own(&self, path: &str) -> Result<Vec<Said>, Trouble> {
        let login = self.github.login().await?;
        let all: Vec<Said> = self.pages(path, TALK_PAGES).await?;
        Ok(all
            .into_iter()
            .filter(|said| said.user.as_ref().is_some_and(|user| user.login == login))
            .collect())
    }

    async fn pages<T: DeserializeOwned>(&self, path: &str, pages: usize) -> Result<Vec<T>, Trouble> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let some: Vec<T> = self.get(&format!("{path}?per_page={PER_PAGE}&page={page}")).await?;
            let is_last = some.len() < PER_PAGE;
            all.extend(some);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        parse(&self.call(Method::GET, path, None).await?)
    }

    /// A call with this installation's token, and once more with a fresh one where GitHub took it back early.
    async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Vec<u8>, Trouble> {
        let bearer = self.github.bearer(self.installation).await?;
        match self.github.call(method.clone(), path, &bearer, body).await {
            Err(Trouble::Unauthorized(_)) if self.installation.is_some() => {
                self.github.forget_bearer(self.installation);
                let bearer = self.github.bearer(self.installation).await?;
                self.github.call(method, path, &bearer, body).await
            }
            outcome => outcome,
        }
    }
}

impl Trouble {
    /// For the job's record.
    #[must_use]
    pub fn what(&self) -> &str {
        match self {
            Self::Again { what, .. }
            | Self::Refused(what)
            | Self::Unauthorized(what)
            | Self::Unprocessable(what)
            | Self::NotFound(what) => what,
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body)
        .map_err(|_| Trouble::Again { what: "GitHub answered in another shape".to_owned(), after: None })
}

/// What an answer means for a job.
async fn judge(answer: reqwest::Response, path: &str) -> Result<Vec<u8>, Trouble> {
    let status = answer.status();
    let header = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
    let wait = header("retry-after").map(Duration::from_secs).or_else(|| {
        // https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
        let exhausted = header("x-ratelimit-remaining") == Some(0);
        let reset = header("x-ratelimit-reset").filter(|_| exhausted)?;
        Some(Duration::from_secs(reset.saturating_sub(crate::store::now() as u64)))
    });
    let is_limited =
        status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::FORBIDDEN && wait.is_some();
    let body = capped(answer).await?;
    if status.is_success() {
        return Ok(body);
    }
    // GitHub's own sentence; it quotes paths and names, never content.
    let message = serde_json::from_slice::<Json>(&body).ok();
    let message = message.as_ref().and_then(|json| json["message"].as_str()).unwrap_or("no reason given");
    let route = path.split('?').next().unwrap_or(path);
    let what = format!("{} for {route}: {message}", status.as_u16());
    warn!("github.answered: {what}");
    Err(match status {
        _ if is_limited => {
            Trouble::Again { what, after: Some(wait.unwrap_or(LIMITED_FOR).min(LIMITED_AT_MOST)) }
        }
        _ if status.is_server_error() => Trouble::Again { what, after: wait },
        StatusCode::UNPROCESSABLE_ENTITY => Trouble::Unprocessable(what),
        StatusCode::NOT_FOUND => Trouble::NotFound(what),
        StatusCode::UNAUTHORIZED => Trouble::Unauthorized(what),
        _ => Trouble::Refused(what),
    })
}

async fn capped(mut answer: reqwest::Response) -> Result<Vec<u8>, Trouble> {
    let broke_off = |_| Trouble::Again { what: "an answer of GitHub broke off".to_owned(), after: None };
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(broke_off)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > ANSWER_LIMIT_BYTES {
            return Err(Trouble::Refused(format!(
                "an answer of GitHub is larger than {ANSWER_LIMIT_BYTES} bytes"
            )));
        }
    }
    Ok(bytes)
}
