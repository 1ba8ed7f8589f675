//! A fake GitHub with state on real sockets: the part of GitHub's API that Sentinel calls.
//!
//! It refuses what GitHub refuses: calls without a user agent or with an unknown token, a JWT signed by another key or
//! valid for too long, comments on lines that are not in the diff, bodies that are too long, check runs by anything but
//! an App, and writes beyond the limits. A test can make it fail in every way in which a network fails, before or after
//! it did what was asked.

mod actions;
mod apps;
mod pulls;

pub use actions::{Log, Run};
pub use apps::app_key;
pub use pulls::{Check, Comment, Pull, Review};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The personal token the fake accepts; its account is [`PERSON`].
pub const TOKEN: &str = "ghs_fake";
/// The account of [`TOKEN`].
pub const PERSON: &str = "sentinel-user";
/// The App's id and the account it writes as.
pub const APP_ID: &str = "4711";
/// The login under which the App of [`APP_ID`] writes.
pub const APP_LOGIN: &str = "sentinel[bot]";

/// GitHub's limit on content, per account.
const WRITES_A_MINUTE: usize = 80;
const SECONDARY_LIMIT: &str = "You have exceeded a secondary rate limit. Please wait a few minutes.";

/// How one call is made to fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Answered with this status, and nothing done.
    Status(u16),
    /// Refused for so many seconds by a secondary limit that says for how long, and nothing done.
    Limited(u32),
    /// Refused for so many seconds by the primary limit: a 403 that says only when the limit is reset.
    OutOfCalls(u32),
    /// Refused by a secondary limit that says nothing but its message.
    LimitedWordlessly,
    /// Answered with 200 and a page for people, as proxies do; nothing done.
    Html,
    /// Done, and the answer breaks off on its way.
    LostAnswer,
    /// Not answered for so long, and nothing done.
    Silence(Duration),
}

#[derive(Default)]
struct World {
    runs: Vec<Run>,
    calls: Vec<String>,
    storage: String,
    /// How every call of the API fails, for as long as it lasts.
    weather: Option<Fault>,
    /// What the host of the logs answers instead of logs.
    storage_status: Option<u16>,
    /// How long the host of the logs takes to answer.
    storage_delay: Duration,
    /// The logs that are being answered now, and the most that ever were.
    open_logs: (usize, usize),
    /// The annotations of each job's check run.
    annotations: HashMap<u64, Vec<Value>>,
    /// Whether the token may not read check runs.
    refuses_checks: bool,
    refuses_reruns: bool,
    refuses_pulls: bool,
    /// Runs whose next attempt is in progress.
    reruns: HashSet<u64>,
    /// The next call whose method and path contain the text fails.
    faults: Vec<(String, Fault)>,
    pulls: Vec<Pull>,
    /// (repository, path) → text, on every branch.
    files: HashMap<(String, String), String>,
    /// (repository, login) → permission.
    permissions: HashMap<(String, String), String>,
    checks: Vec<Check>,
    /// token → (installation, when it ends).
    tokens: HashMap<String, (u64, Instant)>,
    minimized: HashSet<String>,
    /// How often a comment was to be minimized.
    folds: usize,
    /// Codes of manifests that were confirmed and not exchanged yet.
    manifest_codes: HashSet<String>,
    /// Each attempt at a delivery of the App's webhook, and how the next one ends.
    hook_attempts: Vec<HookAttempt>,
    hook_answers: u16,
    writes: HashMap<String, Vec<Instant>>,
    /// Repositories that were renamed: the old name and the new one.
    renamed: Vec<(String, String)>,
    last_id: u64,
}

/// One attempt at a delivery of the App's webhook.
struct HookAttempt {
    id: u64,
    guid: String,
    status: u16,
    /// When the attempt was made, in Unix seconds.
    at: i64,
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq)]
enum Caller {
    Person,
    Installation(u64),
    /// The App itself, by its JWT.
    App,
}

/// A running fake; stops with its process.
#[derive(Clone)]
pub struct FakeGithub {
    world: Arc<Mutex<World>>,
    api: SocketAddr,
    storage: SocketAddr,
}

type Shared = State<Arc<Mutex<World>>>;

// === impl FakeGithub ===

impl FakeGithub {
    /// Starts both hosts on free loopback ports, on a thread of their own.
    #[must_use]
    pub fn start() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let shared = Arc::clone(&world);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
                let api = bind().await.expect("a free port");
                let storage = bind().await.expect("a free port");
                let addresses = (api.local_addr().expect("bound"), storage.local_addr().expect("bound"));
                shared.lock().expect("no test panics inside").storage = format!("http://{}", addresses.1);
                sender.send(addresses).expect("the starter waits");
                let serve_api = axum::serve(api, api_routes(Arc::clone(&shared)));
                let serve_storage = axum::serve(storage, actions::storage_routes(shared));
                let _ = tokio::join!(serve_api.into_future(), serve_storage.into_future());
            });
        });
        let (api, storage) = receiver.recv().expect("the fake starts");
        Self { world, api, storage }
    }

    /// The address for the setting `GITHUB_API_URL`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The host for the setting `GITHUB_LOG_HOSTS`.
    #[must_use]
    pub fn log_host(&self) -> String {
        self.storage.to_string()
    }

    /// Adds a run that can be asked about.
    pub fn add(&self, run: Run) {
        self.world().runs.push(run);
    }

    /// The App's webhook was answered with `status`, for the first time.
    pub fn delivered(&self, guid: &str, status: u16) {
        let mut world = self.world();
        let id = world.id();
        world.hook_attempts.push(HookAttempt { id, guid: guid.to_owned(), status, at: unix_now() });
    }

    /// From now on the App's webhook answers with `status`.
    pub fn hook_answers(&self, status: u16) {
        self.world().hook_answers = status;
    }

    /// Lets so many seconds pass for the deliveries of the App's webhook.
    pub fn age_deliveries(&self, seconds: i64) {
        self.world().hook_attempts.iter_mut().for_each(|attempt| attempt.at -= seconds);
    }

    /// How each attempt at a delivery ended, in order.
    #[must_use]
    pub fn attempts_at(&self, guid: &str) -> Vec<u16> {
        let world = self.world();
        world.hook_attempts.iter().filter(|known| known.guid == guid).map(|known| known.status).collect()
    }

    /// What GitHub's page leads back with after a person has confirmed a manifest.
    #[must_use]
    pub fn confirm_manifest(&self) -> String {
        let mut world = self.world();
        let code = format!("code{}", world.id());
        world.manifest_codes.insert(code.clone());
        code
    }

    /// Opens a pull request.
    pub fn open(&self, pull: Pull) {
        self.world().pulls.push(pull);
    }

    /// Changes a pull request: a push, a close.
    pub fn change(&self, repository: &str, number: u64, change: impl FnOnce(&mut Pull)) {
        let mut world = self.world();
        let pull = world.pulls.iter_mut().find(|pull| pull.repository == repository && pull.number == number);
        let pull = pull.expect("the pull request was opened");
        change(pull);
        pull.outdate();
    }

    /// A pull request as it is.
    #[must_use]
    pub fn pull(&self, repository: &str, number: u64) -> Pull {
        let world = self.world();
        let pull = world.pulls.iter().find(|pull| pull.repository == repository && pull.number == number);
        pull.expect("the pull request was opened").clone()
    }

    /// The check runs on a commit.
    #[must_use]
    pub fn checks(&self, head_sha: &str) -> Vec<Check> {
        self.world().checks.iter().filter(|check| check.head_sha == head_sha).cloned().collect()
    }

    /// Whether this comment is folded.
    #[must_use]
    pub fn is_minimized(&self, comment: &Comment) -> bool {
        self.world().minimized.contains(&comment.node_id())
    }

    /// Puts a file on every branch of a repository.
    pub fn put_file(&self, repository: &str, path: &str, text: &str) {
        self.world().files.insert((repository.to_owned(), path.to_owned()), text.to_owned());
    }

    /// Gives somebody a right: `admin`, `write`, `read` or `none`.
    pub fn permit(&self, repository: &str, login: &str, permission: &str) {
        self.world().permissions.insert((repository.to_owned(), login.to_owned()), permission.to_owned());
    }

    /// Makes the next call whose method and path contain `call` fail.
    pub fn fail_next(&self, call: &str, fault: Fault) {
        self.world().faults.push((call.to_owned(), fault));
    }

    /// Lets everything succeed again.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Takes back every installation token.
    pub fn revoke_tokens(&self) {
        self.world().tokens.clear();
    }

    /// Makes every call answer 503, or stops doing so.
    pub fn set_down(&self, down: bool) {
        self.set_weather(down.then_some(Fault::Status(503)));
    }

    /// Makes every call of the API fail in one way until told otherwise.
    pub fn set_weather(&self, weather: Option<Fault>) {
        self.world().weather = weather;
    }

    /// Makes the host of the logs answer with this status, or with logs again.
    pub fn set_storage(&self, status: Option<u16>) {
        self.world().storage_status = status;
    }

    /// Makes the host of the logs take so long for each answer, and forgets how many were open before.
    pub fn delay_logs(&self, delay: Duration) {
        let mut world = self.world();
        (world.storage_delay, world.open_logs) = (delay, (0, 0));
    }

    /// The largest number of logs that were being answered at once.
    #[must_use]
    pub fn most_open_logs(&self) -> usize {
        self.world().open_logs.1
    }

    /// Annotates the check run of a job, as the runner's service does.
    pub fn annotate(&self, job: u64, level: &str, text: &str) {
        let annotation = json!({ "path": ".github", "start_line": 1, "end_line": 1, "annotation_level": level,
            "title": "", "message": text, "raw_details": "" });
        self.world().annotations.entry(job).or_default().push(annotation);
    }

    /// Takes the permission to read check runs, or gives it back.
    pub fn refuse_checks(&self, refuses: bool) {
        self.world().refuses_checks = refuses;
    }

    /// Takes the permission to read pull requests, or gives it back.
    pub fn refuse_pulls(&self, refuses: bool) {
        self.world().refuses_pulls = refuses;
    }

    /// Takes the permission to run jobs again, or gives it back.
    pub fn refuse_reruns(&self, refuses: bool) {
        self.world().refuses_reruns = refuses;
    }

    /// Folds a comment, as a person does.
    pub fn minimize(&self, id: u64) {
        self.world().minimized.insert(format!("PRRC_{id}"));
    }

    /// How often GraphQL was asked to fold a comment.
    #[must_use]
    pub fn folds(&self) -> usize {
        self.world().folds
    }

    /// The calls about jobs and logs, and those for the comments of a pull request, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// A repository has another name from now on; what asks under the old one is sent to the new one.
    pub fn rename(&self, old: &str, new: &str) {
        self.world().renamed.push((old.to_owned(), new.to_owned()));
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().expect("no handler panics")
    }
}

fn api_routes(world: Arc<Mutex<World>>) -> Router {
    actions::routes()
        .merge(apps::routes())
        .merge(pulls::routes())
        .fallback(|| async { not_found() })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&world), admit))
        // Who makes an App has no token yet: the code is what admits them.
        .merge(apps::manifest_routes())
        .with_state(world)
}

/// What every call passes: is GitHub up, is the caller somebody, may it write now, does the call fail today?
async fn admit(State(world): Shared, mut request: Request, next: Next) -> Response {
    let call = format!("{} {}", request.method(), request.uri());
    let is_write = request.method() != axum::http::Method::GET && !request.uri().path().starts_with("/app/");
    let fault = {
        let mut world = world.lock().expect("no handler panics");
        if !request.headers().contains_key(header::USER_AGENT) {
            return (StatusCode::FORBIDDEN, "Request forbidden by administrative rules").into_response();
        }
        let Some(caller) = world.caller(request.headers()) else {
            return message(StatusCode::UNAUTHORIZED, "Bad credentials");
        };
        let fault = world.faults.iter().position(|(text, _)| call.contains(text));
        let fault = fault.map(|at| world.faults.remove(at).1).or_else(|| world.weather.clone());
        if is_write && !world.may_write(&caller) {
            return limited(60);
        }
        if let Some(address) = world.moved(&request) {
            let status =
                if is_write { StatusCode::TEMPORARY_REDIRECT } else { StatusCode::MOVED_PERMANENTLY };
            return (status, [(header::LOCATION, address)]).into_response();
        }
        request.extensions_mut().insert(caller);
        fault
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => {
            message(StatusCode::from_u16(status).expect("a status"), "Something went wrong")
        }
        Some(Fault::Limited(seconds)) => limited(seconds),
        Some(Fault::OutOfCalls(seconds)) => out_of_calls(seconds),
        Some(Fault::LimitedWordlessly) => message(StatusCode::FORBIDDEN, SECONDARY_LIMIT),
        Some(Fault::Html) => axum::response::Html("<!doctype html><title>Unicorn!</title>").into_response(),
        Some(Fault::Silence(time)) => {
            tokio::time::sleep(time).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Fault::LostAnswer) => {
            let (head, _) = next.run(request).await.into_parts();
            let broken =
                futures_util::stream::iter([Err::<String, _>(std::io::Error::other("the line is cut"))]);
            Response::from_parts(
                axum::http::Response::builder()
                    .status(head.status)
                    .body(())
                    .expect("a status")
                    .into_parts()
                    .0,
                Body::from_stream(broken),
            )
        }
    }
}

// === impl World ===

impl World {
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let bearer = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        if bearer == TOKEN {
            return Some(Caller::Person);
        }
        if let Some((installation, ends_at)) = self.tokens.get(bearer) {
            return (*ends_at > Instant::now()).then_some(Caller::Installation(*installation));
        }
        apps::is_jwt_of_app(bearer).then_some(Caller::App)
    }

    /// The address under the new name, if this call is about a repository that was renamed.
    fn moved(&self, request: &Request) -> Option<String> {
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        let path = request.uri().path_and_query()?.as_str();
        let to = |(old, new): &(String, String)| {
            let rest = path.strip_prefix(&format!("/repos/{old}/"))?;
            Some(format!("http://{host}/repos/{new}/{rest}"))
        };
        self.renamed.iter().find_map(to)
    }

    fn may_write(&mut self, caller: &Caller) -> bool {
        let writes = self.writes.entry(format!("{caller:?}")).or_default();
        writes.retain(|at| at.elapsed() < Duration::from_secs(60));
        writes.push(Instant::now());
        writes.len() <= WRITES_A_MINUTE
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Caller {
    fn login(&self) -> &'static str {
        match self {
            Self::Person => PERSON,
            Self::Installation(_) | Self::App => APP_LOGIN,
        }
    }
}

/// The answer to a call over the limit, as
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit> describes
/// it.
fn limited(seconds: u32) -> Response {
    let body = json!({ "message": SECONDARY_LIMIT });
    (StatusCode::FORBIDDEN, [("retry-after", seconds.to_string())], axum::Json(body)).into_response()
}

/// The primary limit, as the same page describes it.
fn out_of_calls(seconds: u32) -> Response {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let reset = since_epoch.as_secs() + u64::from(seconds);
    let headers = [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset.to_string())];
    let body = json!({ "message": "API rate limit exceeded for installation ID 5." });
    (StatusCode::FORBIDDEN, headers, axum::Json(body)).into_response()
}

fn message(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(json!({ "message": text }))).into_response()
}

fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not Found")
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64)
}

/// One page of a list, as `per_page` and `page` ask for it. Its header names the last page, on every other page.
fn page(all: &[Value], query: &HashMap<String, String>) -> Response {
    let mut answer = axum::Json(json!(some_of(all, query))).into_response();
    let number = |name: &str, default: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (per_page, page) = (number("per_page", 30).clamp(1, 100), number("page", 1));
    let last = all.len().div_ceil(per_page);
    if page < last {
        let link = format!("<https://api.github.com/?page={last}&per_page={per_page}>; rel=\"last\"");
        answer.headers_mut().insert(header::LINK, link.parse().expect("a header"));
    }
    answer
}

/// The items of that page.
fn some_of<'a>(all: &'a [Value], query: &HashMap<String, String>) -> Vec<&'a Value> {
    let number = |name: &str, default: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (per_page, page) = (number("per_page", 30).min(100), number("page", 1).max(1));
    all.iter().skip((page - 1) * per_page).take(per_page).collect()
}
