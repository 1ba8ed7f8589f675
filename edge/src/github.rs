//! The worker's client of GitHub's API, and of the storage that logs are redirected to.
//!
//! Each answer has a byte limit and each piece of work a limit of calls. `sentinel_shared::github::answer` decides what
//! an answer means. Our `Authorization` goes only to the API, never to the storage.

use crate::clock::now;
use crate::config::Config;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use sentinel_shared::Error;
use sentinel_shared::evidence::Trouble;
use sentinel_shared::github::answer::{Answer, Meaning};
use sentinel_shared::text::line;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::time::Duration;
use worker::{
    Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, ResponseBody, Url,
    console_error, console_warn,
};

/// The largest API answer that is read. A page of 100 jobs with steps is under 1 MB.
const ANSWER_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// The largest part of a refusal that is read. Its message distinguishes a limit from a missing permission.
const REFUSAL_LIMIT_BYTES: usize = 4096;

/// How long GitHub may take to do something.
const POST_TIME: Duration = Duration::from_secs(10);

/// Moves of a repository that one call follows: renamed, and handed over.
const MOVES_MAX: usize = 2;

/// The reason why a call gave nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// A later try may give more.
    Trouble(Trouble),
    /// This piece of work has made all of its calls.
    CallsSpent,
}

/// What GitHub answered to something it was to do.
pub(crate) struct Asked {
    pub(crate) status: u16,
    /// Its reason, of a refusal.
    pub(crate) message: String,
}

/// A client of GitHub for one piece of work.
pub(crate) struct Github<'a> {
    api: &'a str,
    token: &'a str,
    log_hosts: &'a [String],
    calls: Cell<usize>,
    calls_max: usize,
    /// The path of a repository that was renamed, and its address now: each further call would cost a second one.
    moved: RefCell<Option<(String, String)>>,
}

// === impl Stop ===

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Self::GithubUnavailable(match stop {
            Stop::Trouble(Trouble::TokenRefused) => "it does not accept the worker's token",
            Stop::Trouble(Trouble::Limited(_)) => "it limits our rate",
            Stop::Trouble(Trouble::Away(_)) | Stop::CallsSpent => "it is overloaded or can't be reached",
        })
    }
}

// === impl Github ===

impl<'a> Github<'a> {
    /// Makes a client with at most `calls_max` calls; None if there is no token.
    pub(crate) fn of(config: &'a Config, calls_max: usize) -> Option<Self> {
        let token = config.github_token.as_ref()?.expose_text();
        let (api, log_hosts) = (config.github_api_url().ok()?, config.log_hosts.as_slice());
        Some(Self { api, token, log_hosts, calls: Cell::new(0), calls_max, moved: RefCell::default() })
    }

    /// The number of calls made so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.get()
    }

    /// The number of calls that may still be made.
    pub(crate) fn calls_left(&self) -> usize {
        self.calls_max.saturating_sub(self.calls.get())
    }

    /// Whether `count` more calls may be made.
    pub(crate) fn may_call(&self, count: usize) -> bool {
        count <= self.calls_left()
    }

    /// Reads the JSON at `path`; None if it does not exist or we may not see it.
    pub(crate) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Stop> {
        match self.ask(path).await? {
            (Meaning::Done, mut response) => {
                let body = capped(&mut response, ANSWER_LIMIT_BYTES).await?;
                serde_json::from_slice(&body).map(Some).map_err(|_| away("an answer of another shape"))
            }
            (meaning, response) => {
                console_warn!("github.absent: {meaning:?}");
                dismiss(response);
                Ok(None)
            }
        }
    }

    /// The address that GitHub redirects to from `path`; None if it does not, or if the host is not on the list.
    pub(crate) async fn address(&self, path: &str) -> Result<Option<Url>, Stop> {
        let (meaning, response) = self.ask(path).await?;
        let location = response.headers().get("location").ok().flatten();
        dismiss(response);
        if meaning != Meaning::Moved {
            console_warn!("github.absent: {meaning:?}");
            return Ok(None);
        }
        let url = location.and_then(|location| Url::parse(&location).ok()).filter(|url| self.allows(url));
        if url.is_none() {
            console_warn!("github.redirect_refused: a log was redirected to a host that is not on the list");
        }
        Ok(url)
    }

    /// Reads the file at `path`, and no more of it than shows that it is longer than `limit_bytes`; None if it does not exist.
    /// <https://docs.github.com/rest/repos/contents#get-repository-content>
    pub(crate) async fn file(&self, path: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>, Stop> {
        match self.ask_as(path, "application/vnd.github.raw+json").await? {
            (Meaning::Done, mut response) => up_to(&mut response, limit_bytes).await.map(Some),
            (Meaning::Absent, response) => {
                dismiss(response);
                Ok(None)
            }
            (meaning, response) => {
                console_warn!("github.file_refused: {meaning:?}");
                dismiss(response);
                Err(Stop::Trouble(Trouble::Away(None)))
            }
        }
    }

    /// Asks GitHub for `path`, and returns the answer with its meaning.
    pub(crate) async fn ask(&self, path: &str) -> Result<(Meaning, Response), Stop> {
        self.ask_as(path, "application/vnd.github+json").await
    }

    async fn ask_as(&self, path: &str, accept: &str) -> Result<(Meaning, Response), Stop> {
        let authorization = format!("Bearer {}", self.token);
        let headers = [
            ("accept", accept),
            ("authorization", authorization.as_str()),
            ("user-agent", "sentinel"),
            ("x-github-api-version", "2022-11-28"),
        ];
        let (mut url, mut moves) = (self.url(path), 0);
        loop {
            let mut response = self.fetch(&url, &headers).await?;
            // Only a 403 can be one thing or another.
            let refusal = match response.status_code() {
                403 => up_to(&mut response, REFUSAL_LIMIT_BYTES).await.unwrap_or_default(),
                _ => Vec::new(),
            };
            let meaning = known(told(&response, &String::from_utf8_lossy(&refusal), Meaning::of))?;
            match self.moved_to(&response) {
                Some(address) if meaning == Meaning::Moved && moves < MOVES_MAX => {
                    dismiss(response);
                    self.remember_move(path, &address);
                    (url, moves) = (address, moves + 1);
                }
                _ => return Ok((meaning, response)),
            }
        }
    }

    /// Asks GitHub to do what `path` names, with an empty POST; None if there is no answer. It is never asked twice.
    pub(crate) async fn post(&self, path: &str) -> Option<Asked> {
        #[derive(serde::Deserialize)]
        struct Refusal {
            message: String,
        }
        let authorization = format!("Bearer {}", self.token);
        let headers = [
            ("accept", "application/vnd.github+json"),
            ("authorization", authorization.as_str()),
            ("user-agent", "sentinel"),
            ("x-github-api-version", "2022-11-28"),
        ];
        let url = format!("{}{path}", self.api);
        let sent = pin!(send(Method::Post, &url, &headers));
        let Either::Left((Ok(mut response), _)) = select(sent, Delay::from(POST_TIME)).await else {
            return None;
        };
        let body = up_to(&mut response, REFUSAL_LIMIT_BYTES).await.unwrap_or_default();
        let message = serde_json::from_slice(&body)
            .map_or(String::new(), |Refusal { message }| line(&message).into_owned());
        Some(Asked { status: response.status_code(), message })
    }

    /// The address of `path`: under the new name, if its repository was renamed.
    fn url(&self, path: &str) -> String {
        let moved = self.moved.borrow();
        let renamed = moved.as_ref().and_then(|(old, new)| Some((path.strip_prefix(old.as_str())?, new)));
        match renamed {
            Some((rest, new)) => format!("{new}{rest}"),
            None => format!("{}{path}", self.api),
        }
    }

    /// Remembers where a repository is now, if `address` is the same path under another name.
    fn remember_move(&self, path: &str, address: &str) {
        // `/repos/owner/name`, and what follows.
        let Some((at, _)) = path.match_indices('/').nth(3) else { return };
        let (old, rest) = path.split_at(at);
        if let Some(new) = address.strip_suffix(rest) {
            *self.moved.borrow_mut() = Some((format!("{old}/"), format!("{new}/")));
        }
    }

    /// Where the API says that a renamed repository is now. An address that is not the API's own is not followed here: our
    /// token is for the API alone.
    fn moved_to(&self, response: &Response) -> Option<String> {
        let location = response.headers().get("location").ok().flatten()?;
        let (api, moved) = (Url::parse(self.api).ok()?, Url::parse(&location).ok()?);
        let is_the_apis = moved.origin() == api.origin() && moved.path().starts_with(api.path());
        is_the_apis.then_some(location)
    }

    /// Reads the log at `url` from `start` on; None if it is not there, or no longer there.
    pub(crate) async fn stored(&self, url: &Url, start: Option<usize>) -> Result<Option<Response>, Stop> {
        let range = start.map(|start| format!("bytes={start}-"));
        // What is compressed has no length and no ranges of its own.
        let mut headers = vec![("user-agent", "sentinel"), ("accept-encoding", "identity")];
        headers.extend(range.as_deref().map(|range| ("range", range)));
        let response = self.fetch(url.as_str(), &headers).await?;
        let meaning = known(told(&response, "", Meaning::of_storage))?;
        if meaning == Meaning::Done {
            return Ok(Some(response));
        }
        console_warn!("github.log_absent: the storage of logs answered {}", response.status_code());
        dismiss(response);
        Ok(None)
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

    async fn fetch(&self, url: &str, headers: &[(&str, &str)]) -> Result<Response, Stop> {
        if !self.may_call(1) {
            return Err(Stop::CallsSpent);
        }
        self.calls.set(self.calls.get() + 1);
        send(Method::Get, url, headers).await.map_err(|_| away("it can't be reached"))
    }
}

/// Sends an empty POST to `path` of GitHub's API, without a token; None if it does not exist, or no longer exists.
pub(crate) async fn exchange<T: DeserializeOwned>(config: &Config, path: &str) -> Result<Option<T>, Error> {
    let headers = [("accept", "application/vnd.github+json"), ("user-agent", "sentinel")];
    let url = format!("{}{path}", config.github_api_url()?);
    let unreachable = |_: worker::Error| Error::GithubUnavailable("it can't be reached");
    let mut response = send(Method::Post, &url, &headers).await.map_err(unreachable)?;
    match told(&response, "", Meaning::of) {
        Meaning::Done => {
            let body = capped(&mut response, ANSWER_LIMIT_BYTES).await?;
            let read = serde_json::from_slice(&body).map(Some);
            read.map_err(|_| Error::GithubUnavailable("an answer of another shape"))
        }
        Meaning::Absent | Meaning::Unprocessable => Ok(None),
        _ => Err(Error::GithubUnavailable("it did not take the code")),
    }
}

/// Ends an answer whose body is not needed. An unread body keeps one of the worker's six connections.
#[expect(clippy::needless_pass_by_value, reason = "nothing can be done with the answer afterwards")]
pub(crate) fn dismiss(response: Response) {
    // A body of which something was read ends with its reader, and can't become a response again.
    if let ResponseBody::Stream(body) = response.body()
        && !body.locked()
    {
        // What becomes of the cancellation nobody needs to know.
        let _ = body.cancel();
    }
}

/// The stop for an answer that breaks off or has another shape.
pub(crate) fn away(why: &str) -> Stop {
    console_error!("github.away: {why}");
    Stop::Trouble(Trouble::Away(None))
}

fn told(response: &Response, message: &str, of: fn(&Answer<'_>, i64) -> Meaning) -> Meaning {
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let (retry_after, remaining, reset) =
        (header("retry-after"), header("x-ratelimit-remaining"), header("x-ratelimit-reset"));
    let answer = Answer {
        status: response.status_code(),
        retry_after: retry_after.as_deref(),
        remaining: remaining.as_deref(),
        reset: reset.as_deref(),
        message,
    };
    of(&answer, now())
}

/// Stops if a later try may give more.
fn known(meaning: Meaning) -> Result<Meaning, Stop> {
    match Trouble::of(meaning) {
        None => Ok(meaning),
        Some(trouble) => {
            console_error!("github.trouble: {}", trouble.label());
            Err(Stop::Trouble(trouble))
        }
    }
}

async fn send(method: Method, url: &str, headers: &[(&str, &str)]) -> worker::Result<Response> {
    let sent = Headers::new();
    for (name, value) in headers {
        sent.set(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(method).with_headers(sent).with_redirect(RequestRedirect::Manual);
    Fetch::Request(Request::new_with_init(url, &init)?).send().await
}

async fn capped(response: &mut Response, limit_bytes: usize) -> Result<Vec<u8>, Stop> {
    let bytes = up_to(response, limit_bytes).await?;
    if bytes.len() > limit_bytes { Err(away("an answer beyond the cap")) } else { Ok(bytes) }
}

/// Reads the body, or just enough of it to see that it is longer than `limit_bytes`.
async fn up_to(response: &mut Response, limit_bytes: usize) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    let mut stream = response.stream().map_err(|_| away("an answer can't be read"))?;
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| away("an answer broke off"))?);
        if bytes.len() > limit_bytes {
            break;
        }
    }
    Ok(bytes)
}
