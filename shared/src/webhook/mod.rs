//! Turns a verified delivery into what should be done about it: bytes → [`Delivery`] → [`Action`].
//!
//! Nothing here performs the action. An event that is understood but not ours becomes [`Action::Ignore`] with a reason
//! and is answered with 200, so that GitHub does not show a delivery in red that we chose to ignore.

mod passed;
mod records;
#[cfg(test)]
mod tests;

pub use passed::PassedRun;

use crate::failure::{FailureRecord, bounded};
use crate::github::{Actor, CommitSha, Payload, RepositoryName};
use crate::review::ReviewJob;
use crate::review::command::Command;
use crate::signature::Verified;
use crate::{Error, Result};
use records::{Origin, check_record, job_record, passed_run, run_record};
use serde::{Deserialize, Serialize};

/// The largest body that is read. GitHub sends at most 25 MB; the events that we classify are below 100 KB.
pub const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// The headers of a delivery that decide what its body means.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// The `X-GitHub-Event` header: the kind of event.
    pub event: Option<&'a str>,
    /// The `X-GitHub-Delivery` header. A redelivery keeps it. It is unique per event, not per webhook.
    pub delivery: Option<&'a str>,
    /// The `X-GitHub-Hook-ID` header: the id of the webhook.
    pub hook: Option<&'a str>,
    /// The `Content-Type` header of the request.
    pub content_type: Option<&'a str>,
}

/// One webhook call, with its key and what it asks for.
#[derive(Debug)]
pub struct Delivery {
    /// The idempotency key of the delivery.
    pub key: DeliveryKey,
    /// The kind of event from `X-GitHub-Event`, cut to a bounded length.
    pub event: String,
    /// The repository as `owner/name`, if the event has one.
    pub repository: Option<String>,
    /// What the worker has to do about it.
    pub action: Action,
}

/// The hook and the delivery id. A redelivery has the same ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The id of the webhook from `X-GitHub-Hook-ID`; `-` if the client sends none.
    pub hook: String,
    /// GitHub's id of the delivery, from `X-GitHub-Delivery`.
    pub id: String,
}

/// What a delivery asks for.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Answer a `ping` with a pong.
    Pong,
    /// Find out why this run failed.
    Classify(Box<FailureRecord>),
    /// Remember that this run passed.
    Passed(Box<PassedRun>),
    /// Review this pull request.
    Review(Box<ReviewJob>),
    /// Obey a command in a pull request's conversation, if its author may write.
    Command(Box<CommandRequest>),
    /// Remove this installation, because the App was uninstalled from the account.
    Uninstall(u64),
    /// Do nothing, because the event is understood but not ours.
    Ignore(IgnoreReason),
}

/// A command and who gave it.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// The command that the comment holds.
    pub command: Command,
    /// The pull request. The key of the job is made from the comment's id.
    pub job: ReviewJob,
    /// The author of the comment. GitHub must still be asked whether they may write.
    pub by: String,
}

/// The reason why a delivery is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreReason {
    /// The worker does not handle this kind of event.
    EventNotOurs,
    /// The run has not ended.
    NotCompleted,
    /// The job or check did not fail, or the run neither failed nor passed.
    NotFailed,
    /// The run was cancelled by a person, by a newer push or by a failed job, and no job in it failed.
    Cancelled,
    /// Something happened to a pull request or a comment that changes nothing for us.
    ActionNotOurs,
    /// A program caused it. Answering programs, our own included, would never end.
    Bot,
    /// The comment is on an issue.
    NotAPullRequest,
    /// The comment contains no command.
    NotACommand,
    /// The author has no role in the repository.
    Stranger,
}

// === impl Delivery ===

impl Delivery {
    /// Parses a verified body under its headers.
    ///
    /// # Errors
    /// A missing header or wrong content type, invalid JSON, or JSON without a field the event always has.
    pub fn parse(headers: Headers<'_>, body: Verified<'_>) -> Result<Self> {
        let event = headers.event.ok_or(Error::HeaderMissing("X-GitHub-Event"))?;
        let key = DeliveryKey {
            hook: bounded(headers.hook.unwrap_or("-")),
            id: bounded(
                headers
                    .delivery
                    .filter(|id| !id.is_empty())
                    .ok_or(Error::HeaderMissing("X-GitHub-Delivery"))?,
            ),
        };
        let payload = parse_payload(headers.content_type, body.bytes())?;
        let repository = payload.repository.as_ref().and_then(|repository| repository.full_name.as_deref());
        let repository = repository.and_then(|name| RepositoryName::parse(name).ok()).map(String::from);
        let action = decide(event, payload)?;
        Ok(Self { key, event: bounded(event), repository, action })
    }
}

// === impl IgnoreReason ===

impl IgnoreReason {
    /// A short, stable name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::EventNotOurs => "event_not_ours",
            Self::NotCompleted => "not_completed",
            Self::NotFailed => "not_failed",
            Self::Cancelled => "cancelled",
            Self::ActionNotOurs => "action_not_ours",
            Self::Bot => "bot",
            Self::NotAPullRequest => "not_a_pull_request",
            Self::NotACommand => "not_a_command",
            Self::Stranger => "stranger",
        }
    }
}

fn parse_payload(content_type: Option<&str>, body: &[u8]) -> Result<Payload> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        parse_json(body)
    } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let payload = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
        parse_json(payload.ok_or(Error::FieldMissing("payload field in its form"))?.1.as_bytes())
    } else {
        Err(Error::ContentTypeUnsupported)
    }
}

fn parse_json(bytes: &[u8]) -> Result<Payload> {
    // serde_json stops at 128 nested values, and skips unread fields without recursion.
    serde_json::from_slice(bytes).map_err(|error| Error::JsonInvalid(position(&error)))
}

/// The place at which the JSON is wrong. The full message may quote the payload, so it is left out.
fn position(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field has another type",
        _ => "a syntax error",
    };
    format!("{kind} at line {}, column {}", error.line(), error.column())
}

fn decide(event: &str, payload: Payload) -> Result<Action> {
    match event {
        "ping" => Ok(Action::Pong),
        "workflow_run" | "workflow_job" | "check_run" => decide_completed(event, payload),
        "pull_request" => decide_pull_request(payload),
        "issue_comment" => decide_comment(payload),
        "installation" => decide_installation(&payload),
        _ => Ok(Action::Ignore(IgnoreReason::EventNotOurs)),
    }
}

/// <https://docs.github.com/webhooks/webhook-events-and-payloads#installation>: every App is told, subscribed or not.
///
/// The event's name is not signed, and many a body has an `installation` and says `deleted`: a comment's does. Only one
/// about the installation itself tells whose it is, and names no repository.
fn decide_installation(payload: &Payload) -> Result<Action> {
    let action = payload.action.as_deref().ok_or(Error::FieldMissing("action"))?;
    let installation = payload.installation.as_ref().ok_or(Error::FieldMissing("installation"))?;
    if payload.repository.is_some() || installation.account.is_none() {
        return Err(Error::FieldMissing("installation.account, or it is about a repository"));
    }
    if action != "deleted" {
        return Ok(Action::Ignore(IgnoreReason::ActionNotOurs));
    }
    installation.id.map(Action::Uninstall).ok_or(Error::FieldMissing("installation.id"))
}

fn decide_pull_request(payload: Payload) -> Result<Action> {
    let action = payload.action.as_deref().ok_or(Error::FieldMissing("action"))?;
    if !matches!(action, "opened" | "reopened" | "synchronize" | "ready_for_review") {
        return Ok(Action::Ignore(IgnoreReason::ActionNotOurs));
    }
    if is_bot(payload.sender.as_ref()) {
        return Ok(Action::Ignore(IgnoreReason::Bot));
    }
    let repository = repository_of(&payload)?;
    let pull = payload.pull_request.ok_or(Error::FieldMissing("pull_request"))?;
    // Events of a review or its comments have a pull request too, and no number beside it.
    if payload.number != Some(pull.number) {
        return Err(Error::FieldMissing("number of its pull request"));
    }
    let (base, head) = (CommitSha::parse(&pull.base.sha)?, String::from(CommitSha::parse(&pull.head.sha)?));
    Ok(Action::Review(Box::new(ReviewJob {
        key: ReviewJob::key_of(&repository, pull.number, &head),
        repository,
        number: pull.number,
        base_sha: Some(base.into()),
        head_sha: Some(head),
        installation_id: payload.installation.and_then(|installation| installation.id),
    })))
}

fn decide_comment(payload: Payload) -> Result<Action> {
    let ignore = |reason| Ok(Action::Ignore(reason));
    // An edited comment was answered, or not, when it was written.
    if payload.action.as_deref().ok_or(Error::FieldMissing("action"))? != "created" {
        return ignore(IgnoreReason::ActionNotOurs);
    }
    let repository = repository_of(&payload)?;
    let comment = payload.comment.ok_or(Error::FieldMissing("comment"))?;
    let issue = payload.issue.ok_or(Error::FieldMissing("issue"))?;
    if is_bot(payload.sender.as_ref()) || is_bot(comment.user.as_ref()) {
        return ignore(IgnoreReason::Bot);
    }
    if issue.pull_request.is_none() {
        return ignore(IgnoreReason::NotAPullRequest);
    }
    let Some(command) = comment.body.as_deref().and_then(Command::parse) else {
        return ignore(IgnoreReason::NotACommand);
    };
    // Cheap to tell, and true of everybody who may write; that they may is asked of GitHub.
    if !matches!(comment.author_association.as_deref(), Some("OWNER" | "MEMBER" | "COLLABORATOR")) {
        return ignore(IgnoreReason::Stranger);
    }
    let by = comment.user.and_then(|user| user.login).ok_or(Error::FieldMissing("comment.user.login"))?;
    Ok(Action::Command(Box::new(CommandRequest {
        command,
        job: ReviewJob {
            key: ReviewJob::key_of_comment(&repository, issue.number, comment.id),
            repository,
            number: issue.number,
            base_sha: None,
            head_sha: None,
            installation_id: payload.installation.and_then(|installation| installation.id),
        },
        by: bounded(&by),
    })))
}

fn is_bot(actor: Option<&Actor>) -> bool {
    actor.is_some_and(|actor| {
        actor.kind.as_deref() == Some("Bot")
            || actor.login.as_deref().is_some_and(|login| login.ends_with("[bot]"))
    })
}

fn repository_of(payload: &Payload) -> Result<String> {
    let name = payload.repository.as_ref().and_then(|repository| repository.full_name.as_deref());
    RepositoryName::parse(name.ok_or(Error::FieldMissing("repository.full_name"))?).map(String::from)
}

fn decide_completed(event: &str, payload: Payload) -> Result<Action> {
    if payload.action.as_deref().ok_or(Error::FieldMissing("action"))? != "completed" {
        return Ok(Action::Ignore(IgnoreReason::NotCompleted));
    }
    let origin = Origin {
        repository: repository_of(&payload)?,
        default_branch: payload
            .repository
            .and_then(|repository| repository.default_branch)
            .as_deref()
            .map(bounded),
        installation_id: payload.installation.and_then(|installation| installation.id),
        sender: payload.sender.and_then(|sender| sender.login),
    };
    let record = match event {
        "workflow_run" => {
            let run = payload.workflow_run.ok_or(Error::FieldMissing("workflow_run"))?;
            if let Some(passed) = passed_run(&origin, &run)? {
                return Ok(Action::Passed(Box::new(passed)));
            }
            run_record(origin, &run)
        }
        "workflow_job" => {
            job_record(origin, payload.workflow_job.as_ref().ok_or(Error::FieldMissing("workflow_job"))?)
        }
        _ => check_record(origin, payload.check_run.ok_or(Error::FieldMissing("check_run"))?),
    }?;
    Ok(record.map_or(Action::Ignore(IgnoreReason::NotFailed), |record| Action::Classify(Box::new(record))))
}
