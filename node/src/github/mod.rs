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
use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};
use sentinel_shared::github::PullRequest;
use sentinel_shared::github::answer::{Answer, Meaning};
use sentinel_shared::review::Finding;
use sentinel_shared::store::pauses::{self, Identity, Reason};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::collections::HashSet;
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
/// Pages of reviews and comments that are looked through: the first, and of a longer list the newest.
const TALK_PAGES: usize = 30;
/// Pages of reactions to one comment that are read.
const REACTION_PAGES: usize = 3;
/// The wait where GraphQL limits us: it does not say for how long, and GitHub asks for at least a minute.
const GRAPHQL_LIMITED_FOR: Duration = Duration::from_secs(60);
/// Comments whose folding one question asks about; GitHub takes a hundred ids.
const FOLDED_AT_ONCE: usize = 100;

/// Why a call did not give what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// What is in the way has nothing to do with the job: it pauses, and nothing is counted against it.
    Elsewhere {
        /// What GitHub does to the whole account; None where it is our own side.
        reason: Option<Reason>,
        /// For the job's record.
        what: String,
        /// How long GitHub asks to wait.
        after: Option<Duration>,
    },
    /// The job itself failed, and may not the next time.
    Failed(String),
    /// It never will give it.
    Refused(String),
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

/// What a call answered.
struct Answered {
    body: Vec<u8>,
    /// Of a list in pages: the number of the last, where this is not it.
    last_page: Option<usize>,
    /// Of a list in pages: what asks for the next.
    next: Option<String>,
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

    /// Who we are to GitHub.
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

    /// Asks GitHub who we are: whether it accepts our token or key.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn introduce(&self) -> Result<(), Trouble> {
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
    ) -> Result<Answered, Trouble> {
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
            Err(Trouble::Elsewhere { reason, .. }) => reason.map_or("again", Reason::label),
            Err(Trouble::Failed(_)) => "again",
            Err(Trouble::Refused(_)) => "refused",
            Err(Trouble::Unprocessable(_)) => "unprocessable",
            Err(Trouble::NotFound(_)) => "not_found",
        };
        self.metrics.github_calls.with_label_values(&[label]).inc();
        outcome
    }

    /// A call that the App signs itself.
    async fn call_as_app(&self, method: Method, path: &str) -> Result<Answered, Trouble> {
        self.call(method, path, &self.auth.jwt()?, None).await.map_err(Trouble::of_the_key)
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

    /// Those of `comments` that are not folded yet, in the same order.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn not_folded<'c>(&self, comments: &[&'c Said]) -> Result<Vec<&'c Said>, Trouble> {
        #[derive(Deserialize)]
        struct Nodes {
            nodes: Vec<Option<Node>>,
        }
        #[derive(Deserialize)]
        struct Node {
            id: Option<String>,
            #[serde(rename = "isMinimized", default)]
            is_minimized: bool,
        }
        let query =
            "query($ids: [ID!]!) { nodes(ids: $ids) { ... on PullRequestReviewComment { id isMinimized } } }";
        let mut open = Vec::new();
        for some in comments.chunks(FOLDED_AT_ONCE) {
            let ids: Vec<&str> = some.iter().map(|comment| comment.node_id.as_str()).collect();
            let body = json!({ "query": query, "variables": { "ids": ids } });
            let answer = self.call(Method::POST, "/graphql", Some(&body)).await?;
            let found: Nodes = graphql(&answer)?;
            let folded: HashSet<String> = found
                .nodes
                .into_iter()
                .flatten()
                .filter(|node| node.is_minimized)
                .filter_map(|node| node.id)
                .collect();
            open.extend(some.iter().copied().filter(|comment| !folded.contains(&comment.node_id)));
        }
        Ok(open)
    }

    /// Folds a comment of ours as outdated.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn hide_outdated(&self, turn: Turn, comment: &Said) -> Result<(), Trouble> {
        let query = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) \
                     { minimizedComment { isMinimized } } }";
        let body = json!({ "query": query, "variables": { "id": comment.node_id } });
        let answer = self.write_answered(turn, Method::POST, "/graphql", &body).await?;
        graphql::<Json>(&answer).map(drop)
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

    /// What this client's account wrote at `path`, of the newest that are looked through.
    async fn own(&self, path: &str) -> Result<Vec<Said>, Trouble> {
        let login = self.github.login().await?;
        let all: Vec<Said> = self.newest_pages(path).await?;
        Ok(all
            .into_iter()
            .filter(|said| said.user.as_ref().is_some_and(|user| user.login == login))
            .collect())
    }

    async fn pages<T: DeserializeOwned>(&self, path: &str, pages: usize) -> Result<Vec<T>, Trouble> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let some: Vec<T> = self.get(&page_of(path, page)).await?;
            let is_last = some.len() < PER_PAGE;
            all.extend(some);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// A list of which the newest items matter and come last: its first page, which says how many there are, and as
    /// many of its last pages as are looked through.
    async fn newest_pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Trouble> {
        let first = self.call(Method::GET, &page_of(path, 1), None).await?;
        let mut all: Vec<T> = parse(&first.body)?;
        let newest = first.last_page.map_or(2, |last| last.saturating_sub(TALK_PAGES - 2).max(2));
        let mut is_full = all.len() == PER_PAGE;
        // Until a page is not full: others may write meanwhile.
        for page in newest..newest + TALK_PAGES - 1 {
            if !is_full {
                break;
            }
            let some: Vec<T> = self.get(&page_of(path, page)).await?;
            is_full = some.len() == PER_PAGE;
            all.extend(some);
        }
        Ok(all)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        parse(&self.call(Method::GET, path, None).await?.body)
    }

    /// A call with this installation's token, and once more with a fresh one where GitHub took it back early.
    async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Answered, Trouble> {
        let bearer = self.github.bearer(self.installation).await?;
        match self.github.call(method.clone(), path, &bearer, body).await {
            Err(trouble) if trouble.reason() == Some(Reason::TokenRefused) && self.installation.is_some() => {
                self.github.forget_bearer(self.installation);
                let bearer = self.github.bearer(self.installation).await?;
                self.github.call(method, path, &bearer, body).await
            }
            outcome => outcome,
        }
    }
}

// === impl Trouble ===

impl Trouble {
    /// For the job's record.
    #[must_use]
    pub fn what(&self) -> &str {
        match self {
            Self::Elsewhere { what, .. }
            | Self::Failed(what)
            | Self::Refused(what)
            | Self::Unprocessable(what)
            | Self::NotFound(what) => what,
        }
    }

    /// What GitHub does to the whole account.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Elsewhere { reason, .. } => *reason,
            _ => None,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Elsewhere { .. } | Self::Failed(_))
    }

    /// Of a call that was signed with the App's key.
    fn of_the_key(self) -> Self {
        match self {
            Self::Elsewhere { reason: Some(Reason::TokenRefused), what, after } => {
                Self::Elsewhere { reason: Some(Reason::KeyRefused), what, after }
            }
            other => other,
        }
    }
}

fn away(what: String) -> Trouble {
    Trouble::Elsewhere { reason: Some(Reason::GithubAway), what, after: None }
}

fn page_of(path: &str, page: usize) -> String {
    format!("{path}?per_page={PER_PAGE}&page={page}")
}

/// What an answer holds. What is no JSON at all is a page that a proxy made while GitHub is away; JSON of another
/// shape is about this call, and so about this job.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|cause| {
        if cause.is_data() {
            Trouble::Failed("GitHub answered in another shape".to_owned())
        } else {
            away("GitHub answered with something that is no JSON".to_owned())
        }
    })
}

/// The `data` of an answer of GraphQL, which says with 200 that it can't
/// (<https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>).
fn graphql<T: DeserializeOwned>(answer: &Answered) -> Result<T, Trouble> {
    #[derive(Deserialize)]
    struct Graph {
        #[serde(default)]
        data: Json,
        #[serde(default)]
        errors: Vec<Json>,
    }
    let graph: Graph = parse(&answer.body)?;
    if let Some(error) = graph.errors.first() {
        let what = format!("GraphQL: {}", error["message"].as_str().unwrap_or("no reason given"));
        if error["type"] == "RATE_LIMITED" {
            return Err(Trouble::Elsewhere {
                reason: Some(Reason::Limited),
                what,
                after: Some(GRAPHQL_LIMITED_FOR),
            });
        }
        return Err(Trouble::Unprocessable(what));
    }
    serde_json::from_value(graph.data)
        .map_err(|_| Trouble::Failed("GraphQL answered in another shape".to_owned()))
}

/// What an answer means for a job.
async fn judge(answer: reqwest::Response, path: &str) -> Result<Answered, Trouble> {
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
        crate::store::now(),
    );
    if meaning == Meaning::Done {
        return Ok(Answered { last_page: last_page(&headers), next: next_page(&headers), body });
    }
    let route = path.split('?').next().unwrap_or(path);
    let what = format!("{status} for {route}: {message}");
    warn!("github.answered: {what}");
    let elsewhere = |reason, what, after| Trouble::Elsewhere { reason: Some(reason), what, after };
    Err(match meaning {
        Meaning::Limited(wait) => elsewhere(Reason::Limited, what, Some(wait)),
        Meaning::Away(wait) => elsewhere(Reason::GithubAway, what, wait),
        Meaning::TokenRefused => elsewhere(Reason::TokenRefused, what, None),
        Meaning::Unprocessable => Trouble::Unprocessable(what),
        Meaning::Absent => Trouble::NotFound(what),
        Meaning::Done | Meaning::Moved | Meaning::Refused => Trouble::Refused(what),
    })
}

/// The URL with this relation in the `Link` header
/// (<https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api>).
fn linked<'h>(headers: &'h HeaderMap, relation: &str) -> Option<&'h str> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let wanted = format!("rel=\"{relation}\"");
    let link = links.split(',').find(|link| link.split(';').any(|part| part.trim() == wanted))?;
    link.split(';').next()?.trim().strip_prefix('<')?.strip_suffix('>')
}

/// A parameter of a URL's query.
fn parameter<'u>(url: &'u str, name: &str) -> Option<&'u str> {
    let query = url.split_once('?')?.1;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn last_page(headers: &HeaderMap) -> Option<usize> {
    parameter(linked(headers, "last")?, "page")?.parse().ok()
}

/// What a list that is no numbered one calls its next page.
fn next_page(headers: &HeaderMap) -> Option<String> {
    parameter(linked(headers, "next")?, "cursor").map(str::to_owned)
}

async fn capped(mut answer: reqwest::Response) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return Ok(bytes),
            Err(_) => return Err(away("an answer of GitHub broke off".to_owned())),
        }
        if bytes.len() > ANSWER_LIMIT_BYTES {
            return Err(Trouble::Refused(format!(
                "an answer of GitHub is larger than {ANSWER_LIMIT_BYTES} bytes"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_link_header_names_the_last_page_and_the_next_cursor() {
        let of = |link: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, HeaderValue::from_static(link));
            (last_page(&headers), next_page(&headers))
        };
        let numbered = "<https://api.github.com/repositories/1/issues?per_page=100&page=2>; rel=\"next\", \
                        <https://api.github.com/repositories/1/issues?per_page=100&page=51>; rel=\"last\"";
        assert_eq!(of(numbered), (Some(51), None));
        let cursor =
            "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_12077215967>; rel=\"next\"";
        assert_eq!(of(cursor), (None, Some("v1_12077215967".to_owned())));
        assert_eq!(of("<https://api.github.com/x?page=1>; rel=\"first\""), (None, None));
        assert_eq!(of("nonsense"), (None, None));
        assert_eq!((last_page(&HeaderMap::new()), next_page(&HeaderMap::new())), (None, None));
    }

    #[test]
    fn a_page_for_people_is_an_outage_and_json_of_another_shape_is_the_jobs_own_failure() {
        let reason = |body: &str| parse::<Vec<u32>>(body.as_bytes()).map_err(|trouble| trouble.reason());
        assert_eq!(reason("[1]"), Ok(vec![1]));
        assert_eq!(reason("<!doctype html>"), Err(Some(Reason::GithubAway)));
        assert_eq!(reason("[1,"), Err(Some(Reason::GithubAway)));
        assert_eq!(reason("{\"message\":\"x\"}"), Err(None));
    }

    #[test]
    fn graphql_says_with_200_that_it_limits_us() {
        let of = |body: &str| {
            let answer = Answered { body: body.into(), last_page: None, next: None };
            graphql::<Json>(&answer).map_err(|trouble| (trouble.reason(), trouble.is_passing()))
        };
        assert_eq!(of(r#"{"data":{"a":1}}"#), Ok(json!({ "a": 1 })));
        let limited = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
        assert_eq!(of(limited), Err((Some(Reason::Limited), true)));
        let unknown = r#"{"data":null,"errors":[{"type":"NOT_FOUND","message":"Could not resolve"}]}"#;
        assert_eq!(of(unknown), Err((None, false)));
    }
}
