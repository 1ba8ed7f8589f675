//! Pull requests: their files, reviews, comments, conversations and check runs.

use super::{Caller, Shared, World, message, not_found, page};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use base64::Engine;
use sentinel_shared::diff::{Place, parse_patch};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// GitHub lists at most so many files.
const FILES_MAX: usize = 3000;
/// The longest body of a comment that GitHub takes.
const BODY_MAX_CHARS: usize = 65_536;

/// A pull request on the fake GitHub.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The repository as `owner/name`.
    pub repository: String,
    /// The number of the pull request.
    pub number: u64,
    /// Whether it is `open` or `closed`.
    pub state: &'static str,
    /// Not to be reviewed yet.
    pub draft: bool,
    /// The commit it brings.
    pub head_sha: String,
    /// The commit it goes onto.
    pub base_sha: String,
    /// (path, patch), in order; a path whose patch GitHub does not show has none.
    pub files: Vec<(String, Option<String>)>,
    /// The reviews that were posted on it.
    pub reviews: Vec<Review>,
    /// Inline, of all reviews.
    pub comments: Vec<Comment>,
    /// (id, login, body) in the conversation.
    pub conversation: Vec<(u64, String, String)>,
}

/// A review that was posted on the fake GitHub.
#[derive(Debug, Clone)]
pub struct Review {
    /// The id of the review.
    pub id: u64,
    /// The login that posted the review.
    pub login: String,
    /// The body of the review, in Markdown.
    pub body: String,
    /// The SHA of the commit that was reviewed.
    pub commit_id: String,
}

/// A posted inline comment.
#[derive(Debug, Clone)]
pub struct Comment {
    /// The id of the comment.
    pub id: u64,
    /// The login that posted the comment.
    pub login: String,
    /// The path of the commented file.
    pub path: String,
    /// The line of the new file; None once it is gone.
    pub line: Option<u32>,
    /// The body of the comment, in Markdown.
    pub body: String,
    /// The reactions, each as (content, login).
    pub reactions: Vec<(&'static str, &'static str)>,
}

/// A check run on the fake GitHub.
#[derive(Debug, Clone)]
pub struct Check {
    /// The id of the check run.
    pub id: u64,
    /// The SHA of the commit that was checked.
    pub head_sha: String,
    /// The name that the check run has on the commit.
    pub name: String,
    /// Who made it says which it is.
    pub external_id: String,
    /// `success`, `neutral` and others.
    pub conclusion: String,
    /// The title, one line of text.
    pub title: String,
    /// The summary, in Markdown.
    pub summary: String,
}

impl Pull {
    /// An open pull request of these files.
    #[must_use]
    pub fn new(repository: &str, number: u64, head_sha: &str, files: &[(&str, &str)]) -> Self {
        let files =
            files.iter().map(|(path, patch)| ((*path).to_owned(), Some((*patch).to_owned()))).collect();
        Self {
            repository: repository.to_owned(),
            number,
            state: "open",
            draft: false,
            head_sha: head_sha.to_owned(),
            base_sha: "base".to_owned(),
            files,
            reviews: Vec::new(),
            comments: Vec::new(),
            conversation: Vec::new(),
        }
    }

    /// Whether GitHub takes a comment on this line of the new file.
    fn has_line(&self, path: &str, line: u64) -> bool {
        let patch = self.files.iter().find(|(name, _)| name == path).and_then(|(_, patch)| patch.as_deref());
        let hunks = patch.and_then(|patch| parse_patch(patch).ok()).unwrap_or_default();
        hunks.iter().flat_map(|hunk| &hunk.lines).any(
            |at| matches!(at.place, Place::Added { new } | Place::Context { new, .. } if u64::from(new) == line),
        )
    }

    /// Comments on lines that are not in the diff any more lose their place.
    pub(super) fn outdate(&mut self) {
        let gone: Vec<usize> = (0..self.comments.len())
            .filter(|at| {
                let comment = &self.comments[*at];
                comment.line.is_some_and(|line| !self.has_line(&comment.path, u64::from(line)))
            })
            .collect();
        for at in gone {
            self.comments[at].line = None;
        }
    }

    fn json(&self) -> Value {
        json!({
            "number": self.number, "state": self.state, "draft": self.draft, "changed_files": self.files.len(),
            "head": { "ref": "topic", "sha": self.head_sha }, "base": { "ref": "main", "sha": self.base_sha },
        })
    }
}

impl Comment {
    pub(super) fn node_id(&self) -> String {
        format!("PRRC_{}", self.id)
    }
}

pub(super) fn routes() -> Router<Arc<Mutex<World>>> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls/{number}", get(pull))
        .route("/repos/{owner}/{repo}/pulls/{number}/files", get(files))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews", get(reviews).post(review))
        .route("/repos/{owner}/{repo}/pulls/{number}/comments", get(comments))
        .route("/repos/{owner}/{repo}/pulls/comments/{id}/reactions", get(reactions))
        .route("/repos/{owner}/{repo}/issues/{number}/comments", get(conversation).post(answer))
        .route("/repos/{owner}/{repo}/contents/{*path}", get(content))
        .route("/repos/{owner}/{repo}/commits/{sha}/pulls", get(pulls_of_commit))
        .route("/repos/{owner}/{repo}/commits/{sha}/check-runs", get(check_runs))
        .route("/repos/{owner}/{repo}/check-runs", post(new_check_run))
        .route("/repos/{owner}/{repo}/check-runs/{id}", patch(change_check_run))
        .route("/graphql", post(graphql))
}

type Place3 = Path<(String, String, u64)>;

/// Runs `with` on the pull request at this path.
fn on_pull(
    world: &mut World,
    place: &(String, String, u64),
    with: impl FnOnce(&mut Pull) -> Response,
) -> Response {
    let repository = format!("{}/{}", place.0, place.1);
    let pull = world.pulls.iter_mut().find(|pull| pull.repository == repository && pull.number == place.2);
    pull.map_or_else(not_found, with)
}

async fn pull(State(world): Shared, Path(place): Place3) -> Response {
    on_pull(&mut world.lock().expect("no handler panics"), &place, |pull| Json(pull.json()).into_response())
}

async fn files(
    State(world): Shared,
    Path(place): Place3,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("files {}", place.2));
    if world.refuses_pulls {
        return message(StatusCode::FORBIDDEN, "Resource not accessible by personal access token");
    }
    on_pull(&mut world, &place, |pull| {
        let file = |(path, patch): &(String, Option<String>)| {
            let contents = format!(
                "https://api.github.com/repos/{}/contents/{path}?ref={}",
                pull.repository, pull.head_sha
            );
            let mut file =
                json!({ "filename": path, "status": "modified", "changes": 3, "contents_url": contents });
            if let Some(patch) = patch {
                file["patch"] = json!(patch);
            }
            file
        };
        let all: Vec<Value> = pull.files.iter().take(FILES_MAX).map(file).collect();
        page(&all, &query)
    })
}

async fn reviews(
    State(world): Shared,
    Path(place): Place3,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    on_pull(&mut world.lock().expect("no handler panics"), &place, |pull| {
        let review = |review: &Review| {
            json!({ "id": review.id, "user": { "login": review.login }, "body": review.body,
                "html_url": format!("https://github.com/pulls#{}", review.id) })
        };
        page(&pull.reviews.iter().map(review).collect::<Vec<_>>(), &query)
    })
}

/// Whole or not at all, and GitHub does not say which line is wrong.
async fn review(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Path(place): Place3,
    Json(body): Json<Value>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    let (id, first_comment) = (world.id(), world.last_id);
    world.last_id += 1000;
    on_pull(&mut world, &place, |pull| {
        let text = body["body"].as_str().unwrap_or_default();
        let comments = body["comments"].as_array().cloned().unwrap_or_default();
        let too_long = |text: &str| text.chars().count() > BODY_MAX_CHARS;
        if body["event"] != "COMMENT" || text.is_empty() && comments.is_empty() || too_long(text) {
            return message(StatusCode::UNPROCESSABLE_ENTITY, "Unprocessable Entity");
        }
        if body["commit_id"] != json!(pull.head_sha) {
            return message(StatusCode::UNPROCESSABLE_ENTITY, "commit_id is not part of the pull request");
        }
        for comment in &comments {
            let (path, line) =
                (comment["path"].as_str().unwrap_or_default(), comment["line"].as_u64().unwrap_or(0));
            let body = comment["body"].as_str().unwrap_or_default();
            if comment["side"] != "RIGHT" || !pull.has_line(path, line) || body.is_empty() || too_long(body) {
                return message(StatusCode::UNPROCESSABLE_ENTITY, "Line could not be resolved");
            }
        }
        let login = caller.login().to_owned();
        for (id, comment) in (first_comment + 1..).zip(&comments) {
            pull.comments.push(Comment {
                id,
                login: login.clone(),
                path: comment["path"].as_str().unwrap_or_default().to_owned(),
                line: comment["line"].as_u64().and_then(|line| u32::try_from(line).ok()),
                body: comment["body"].as_str().unwrap_or_default().to_owned(),
                reactions: Vec::new(),
            });
        }
        pull.reviews.push(Review { id, login, body: text.to_owned(), commit_id: pull.head_sha.clone() });
        Json(json!({ "id": id, "html_url": format!("https://github.com/pulls#{id}") })).into_response()
    })
}

async fn comments(
    State(world): Shared,
    Path(place): Place3,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("comments {}", place.2));
    on_pull(&mut world, &place, |pull| {
        let comment = |comment: &Comment| {
            json!({ "id": comment.id, "node_id": comment.node_id(), "user": { "login": comment.login },
                "body": comment.body, "path": comment.path, "line": comment.line,
                "reactions": { "total_count": comment.reactions.len() } })
        };
        page(&pull.comments.iter().map(comment).collect::<Vec<_>>(), &query)
    })
}

async fn reactions(
    State(world): Shared,
    Path((owner, repo, id)): Place3,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (world, repository) = (world.lock().expect("no handler panics"), format!("{owner}/{repo}"));
    let mut comments =
        world.pulls.iter().filter(|pull| pull.repository == repository).flat_map(|pull| &pull.comments);
    let Some(comment) = comments.find(|comment| comment.id == id) else { return not_found() };
    let reaction =
        |(content, login): &(&str, &str)| json!({ "content": content, "user": { "login": login } });
    page(&comment.reactions.iter().map(reaction).collect::<Vec<_>>(), &query)
}

async fn conversation(
    State(world): Shared,
    Path(place): Place3,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    on_pull(&mut world.lock().expect("no handler panics"), &place, |pull| {
        let comment = |(id, login, body): &(u64, String, String)| {
            json!({ "id": id, "user": { "login": login }, "body": body,
                "html_url": format!("https://github.com/issues#{id}") })
        };
        page(&pull.conversation.iter().map(comment).collect::<Vec<_>>(), &query)
    })
}

async fn answer(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Path(place): Place3,
    Json(body): Json<Value>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    let id = world.id();
    on_pull(&mut world, &place, |pull| {
        let text = body["body"].as_str().unwrap_or_default();
        if text.is_empty() || text.chars().count() > BODY_MAX_CHARS {
            return message(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
        }
        pull.conversation.push((id, caller.login().to_owned(), text.to_owned()));
        let answer = json!({ "id": id, "html_url": format!("https://github.com/issues#{id}") });
        (StatusCode::CREATED, Json(answer)).into_response()
    })
}

async fn content(
    State(world): Shared,
    Path((owner, repo, path)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    let is_raw =
        headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/vnd.github.raw+json");
    if is_raw {
        let branch = query.get("ref").map_or(String::new(), |branch| format!(" of {branch}"));
        world.calls.push(format!("file {path}{branch}"));
    }
    world.files.get(&(format!("{owner}/{repo}"), path)).map_or_else(not_found, |text| {
        if is_raw {
            return text.clone().into_response();
        }
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        Json(json!({ "encoding": "base64", "content": encoded })).into_response()
    })
}

async fn pulls_of_commit(
    State(world): Shared,
    Path((owner, repo, sha)): Path<(String, String, String)>,
) -> Response {
    let world = world.lock().expect("no handler panics");
    let repository = format!("{owner}/{repo}");
    let of_commit = world.pulls.iter().filter(|pull| pull.repository == repository && pull.head_sha == sha);
    Json(json!(of_commit.map(Pull::json).collect::<Vec<_>>())).into_response()
}

async fn check_runs(
    State(world): Shared,
    Path((_, _, sha)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let world = world.lock().expect("no handler panics");
    let wanted = |check: &&Check| {
        check.head_sha == sha && query.get("check_name").is_none_or(|name| *name == check.name)
    };
    let runs: Vec<Value> = world.checks.iter().filter(wanted).map(check_json).collect();
    Json(json!({ "total_count": runs.len(), "check_runs": runs })).into_response()
}

async fn new_check_run(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Response {
    if !matches!(caller, Caller::Installation(_)) {
        return message(StatusCode::FORBIDDEN, "You must authenticate via a GitHub App.");
    }
    let mut world = world.lock().expect("no handler panics");
    let id = world.id();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let check = Check {
        id,
        head_sha: text(&body["head_sha"]),
        name: text(&body["name"]),
        external_id: text(&body["external_id"]),
        conclusion: text(&body["conclusion"]),
        title: text(&body["output"]["title"]),
        summary: text(&body["output"]["summary"]),
    };
    if check.name.is_empty() || check.head_sha.is_empty() || check.summary.chars().count() > BODY_MAX_CHARS {
        return message(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request.");
    }
    let answer = check_json(&check);
    world.checks.push(check);
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn change_check_run(
    State(world): Shared,
    Path((_, _, id)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    let Some(check) = world.checks.iter_mut().find(|check| check.id == id) else { return not_found() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    check.conclusion = text(&body["conclusion"]);
    check.title = text(&body["output"]["title"]);
    check.summary = text(&body["output"]["summary"]);
    Json(check_json(check)).into_response()
}

/// `minimizeComment`, the one mutation that is called, and only by the comment's author; and whether comments are
/// minimized.
async fn graphql(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    let query = body["query"].as_str().unwrap_or_default();
    if query.contains("isMinimized") && query.contains("nodes(ids: $ids)") {
        let ids = body["variables"]["ids"].as_array().cloned().unwrap_or_default();
        if ids.len() > 100 {
            let error =
                json!({ "type": "ARGUMENT_LIMIT", "message": "You may not provide more than 100 node ids" });
            return Json(json!({ "data": null, "errors": [error] })).into_response();
        }
        let node = |id: &Value| {
            let is_minimized = id.as_str().is_some_and(|id| world.minimized.contains(id));
            json!({ "id": id, "isMinimized": is_minimized })
        };
        return Json(json!({ "data": { "nodes": ids.iter().map(node).collect::<Vec<_>>() } }))
            .into_response();
    }
    let id = body["variables"]["id"].as_str().unwrap_or_default().to_owned();
    let comments = world.pulls.iter().flat_map(|pull| &pull.comments);
    let own =
        comments.filter(|comment| comment.login == caller.login()).any(|comment| comment.node_id() == id);
    if !query.contains("minimizeComment") || !own {
        return Json(json!({ "errors": [{ "message": "Could not resolve to a node" }] })).into_response();
    }
    world.folds += 1;
    world.minimized.insert(id);
    Json(json!({ "data": { "minimizeComment": { "minimizedComment": { "isMinimized": true } } } }))
        .into_response()
}

fn check_json(check: &Check) -> Value {
    json!({ "id": check.id, "name": check.name, "external_id": check.external_id, "conclusion": check.conclusion,
        "html_url": format!("https://github.com/runs/{}", check.id) })
}
