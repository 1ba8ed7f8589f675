//! A verified delivery to what should be done about it: bytes → [`Delivery`] → [`Action`].
//!
//! Nothing here performs the action. What is understood but not ours is [`Action::Ignore`] with its reason,
//! which is answered with 200: GitHub must not show a delivery red that we chose to leave alone.

use crate::failure::{Conclusion, FIELD_CHARS, FailureRecord, Subject, bounded};
use crate::github::{Actor, CheckRun, Payload, RepositoryName, WorkflowJob, WorkflowRun, unix_seconds};
use crate::review::ReviewJob;
use crate::review::command::Command;
use crate::signature::Verified;
use crate::{Error, Result};

/// The most bytes of body that are read. GitHub sends at most 25 MB; what we classify is under 100 KB.
pub const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// The headers of a delivery that decide what its body means.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// `X-GitHub-Event`.
    pub event: Option<&'a str>,
    /// `X-GitHub-Delivery`: kept by a redelivery, unique per event and not per hook.
    pub delivery: Option<&'a str>,
    /// `X-GitHub-Hook-ID`.
    pub hook: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
}

/// One webhook call, named and decided.
#[derive(Debug)]
pub struct Delivery {
    /// The idempotency key of the delivery.
    pub key: DeliveryKey,
    /// `X-GitHub-Event`, bounded.
    pub event: String,
    /// `owner/name`, where the event has one.
    pub repository: Option<String>,
    /// What to do.
    pub action: Action,
}

/// (hook, delivery id): what makes a redelivery recognisable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryKey {
    /// `X-GitHub-Hook-ID`, `-` where a client sends none.
    pub hook: String,
    /// `X-GitHub-Delivery`.
    pub id: String,
}

/// What a delivery asks for.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Answer a `ping`.
    Pong,
    /// Find out why this run failed.
    Classify(Box<FailureRecord>),
    /// Review this pull request.
    Review(Box<ReviewJob>),
    /// Do what a person asks in a pull request's conversation, if that person may write.
    Command(Box<CommandRequest>),
    /// Let go of this installation: the App was taken off its account.
    Uninstall(u64),
    /// Understood, and not ours.
    Ignore(IgnoreReason),
}

/// A command and who gave it.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// What is asked.
    pub command: Command,
    /// Where; its key is the comment's.
    pub job: ReviewJob,
    /// The comment's author, whose right to write is still to be asked for.
    pub by: String,
}

/// Why a delivery is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreReason {
    /// An event type that is not subscribed to here.
    EventNotOurs,
    /// The run has not ended.
    NotCompleted,
    /// The run did not fail.
    NotFailed,
    /// Something happened to a pull request or a comment that changes nothing for us.
    ActionNotOurs,
    /// A program did it: answering programs, ours among them, would never end.
    Bot,
    /// A comment on an issue.
    NotAPullRequest,
    /// A comment to other people.
    NotACommand,
    /// Somebody asks who is a stranger to the repository.
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

/// Where the JSON is wrong. The full message may quote the payload, so it stays out.
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
    let head = bounded(&pull.head.sha);
    Ok(Action::Review(Box::new(ReviewJob {
        key: ReviewJob::key_of(&repository, pull.number, &head),
        repository,
        number: pull.number,
        base_sha: Some(bounded(&pull.base.sha)),
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
        installation_id: payload.installation.and_then(|installation| installation.id),
        sender: payload.sender.and_then(|sender| sender.login),
    };
    let record = match event {
        "workflow_run" => {
            run_record(origin, payload.workflow_run.ok_or(Error::FieldMissing("workflow_run"))?)
        }
        "workflow_job" => {
            job_record(origin, payload.workflow_job.as_ref().ok_or(Error::FieldMissing("workflow_job"))?)
        }
        _ => check_record(origin, payload.check_run.ok_or(Error::FieldMissing("check_run"))?),
    }?;
    Ok(record.map_or(Action::Ignore(IgnoreReason::NotFailed), |record| Action::Classify(Box::new(record))))
}

/// What every event says about where it comes from.
struct Origin {
    repository: String,
    installation_id: Option<u64>,
    sender: Option<String>,
}

fn run_record(origin: Origin, run: WorkflowRun) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = run.conclusion.as_deref().and_then(Conclusion::parse) else { return Ok(None) };
    let run_id = run.id.ok_or(Error::FieldMissing("workflow_run.id"))?;
    Ok(Some(FailureRecord {
        subject: Subject::Run { run_id, run_attempt: run.run_attempt.unwrap_or(1) },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author: run.actor.and_then(|actor| actor.login).or(origin.sender).as_deref().map(bounded),
        workflow: run.name.as_deref().map(bounded),
        job: None,
        conclusion,
        summary: None,
        head_sha: run.head_sha.as_deref().map(bounded),
        html_url: run.html_url.as_deref().map(bounded),
        started_at: run.run_started_at.as_deref().and_then(unix_seconds),
        ended_at: run.updated_at.as_deref().and_then(unix_seconds),
        runner_labels: Vec::new(),
    }))
}

fn job_record(origin: Origin, job: &WorkflowJob) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = job.conclusion.as_deref().and_then(Conclusion::parse) else { return Ok(None) };
    let job_id = job.id.ok_or(Error::FieldMissing("workflow_job.id"))?;
    Ok(Some(FailureRecord {
        subject: Subject::Job { job_id, run_id: job.run_id, run_attempt: job.run_attempt.unwrap_or(1) },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author: origin.sender.as_deref().map(bounded),
        workflow: job.workflow_name.as_deref().map(bounded),
        job: job.name.as_deref().map(bounded),
        conclusion,
        summary: None,
        head_sha: job.head_sha.as_deref().map(bounded),
        html_url: job.html_url.as_deref().map(bounded),
        started_at: job.started_at.as_deref().and_then(unix_seconds),
        ended_at: job.completed_at.as_deref().and_then(unix_seconds),
        runner_labels: job.labels.iter().take(16).map(|label| bounded(label)).collect(),
    }))
}

fn check_record(origin: Origin, check: CheckRun) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = check.conclusion.as_deref().and_then(Conclusion::parse) else { return Ok(None) };
    let job_id = check.id.ok_or(Error::FieldMissing("check_run.id"))?;
    let summary = check.output.map(|output| {
        let parts = [output.title, output.summary];
        parts.into_iter().flatten().map(|text| summary_part(&text)).collect::<Vec<_>>().join("\n")
    });
    Ok(Some(FailureRecord {
        subject: Subject::Job { job_id, run_id: None, run_attempt: 1 },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author: origin.sender.as_deref().map(bounded),
        workflow: None,
        job: check.name.as_deref().map(bounded),
        conclusion,
        summary: summary.filter(|text| !text.is_empty()),
        head_sha: check.head_sha.as_deref().map(bounded),
        html_url: check.html_url.as_deref().map(bounded),
        started_at: check.started_at.as_deref().and_then(unix_seconds),
        ended_at: check.completed_at.as_deref().and_then(unix_seconds),
        runner_labels: Vec::new(),
    }))
}

/// The beginning of a text of several lines.
fn summary_part(text: &str) -> String {
    crate::text::lines(text).chars().take(FIELD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Secret, Signature, WebhookSecrets};
    use proptest::prelude::*;

    fn parse(event: &str, content_type: &str, body: &[u8]) -> Result<Delivery> {
        let header = Signature::of(&Secret::new("s").unwrap(), body).header();
        let secrets = WebhookSecrets::new(Secret::new("s").unwrap(), None);
        let verified = secrets.verify(Some(header.as_bytes()), body).unwrap();
        let headers =
            Headers { event: Some(event), delivery: Some("d"), hook: None, content_type: Some(content_type) };
        Delivery::parse(headers, verified)
    }

    fn action(event: &str, body: &str) -> Action {
        parse(event, "application/json", body.as_bytes()).unwrap().action
    }

    #[test]
    fn each_conclusion_is_classified_or_left_alone() {
        let conclusions = [
            ("failure", true),
            ("timed_out", true),
            ("startup_failure", true),
            ("success", false),
            ("cancelled", false),
            ("action_required", false),
            ("neutral", false),
            ("skipped", false),
            ("stale", false),
        ];
        for (conclusion, classified) in conclusions {
            let body = format!(
                r#"{{"action":"completed","repository":{{"full_name":"o/r"}},"workflow_run":{{"id":1,"conclusion":"{conclusion}"}}}}"#
            );
            assert_eq!(
                matches!(action("workflow_run", &body), Action::Classify(_)),
                classified,
                "{conclusion}"
            );
        }
    }

    #[test]
    fn a_run_without_its_nullable_fields_is_attempt_one_of_an_unknown_author() {
        let body = r#"{"action":"completed","repository":{"full_name":"o/r"},"workflow_run":
            {"id":1,"name":null,"actor":null,"run_attempt":null,"head_sha":null,"conclusion":"failure"}}"#;
        let Action::Classify(record) = action("workflow_run", body) else {
            panic!("a failure is classified")
        };
        assert_eq!(record.subject.key(), "run:1:1");
        assert_eq!((record.author, record.workflow, record.started_at), (None, None, None));
    }

    #[test]
    fn an_installation_matters_when_it_goes() {
        let body = |action: &str| {
            format!(r#"{{"action":"{action}","installation":{{"id":5,"account":{{"login":"acme"}}}}}}"#)
        };
        assert_eq!(action("installation", &body("deleted")), Action::Uninstall(5));
        for kept in ["created", "suspend", "unsuspend", "new_permissions_accepted"] {
            assert_eq!(action("installation", &body(kept)), Action::Ignore(IgnoreReason::ActionNotOurs));
        }
    }

    #[test]
    fn a_pull_request_that_changed_is_reviewed_at_its_head() {
        let body = |action: &str, sender: &str| {
            format!(
                r#"{{"action":"{action}","repository":{{"full_name":"o/r"}},"sender":{{"login":"x","type":"{sender}"}},
                "installation":{{"id":5}},"number":7,
                "pull_request":{{"number":7,"draft":false,"head":{{"sha":"abc"}},"base":{{"sha":"def"}}}}}}"#
            )
        };
        for wanted in ["opened", "reopened", "synchronize", "ready_for_review"] {
            let Action::Review(job) = action("pull_request", &body(wanted, "User")) else {
                panic!("{wanted}")
            };
            assert_eq!((job.key.as_str(), job.installation_id), ("o/r#7@abc", Some(5)));
        }
        assert_eq!(
            action("pull_request", &body("closed", "User")),
            Action::Ignore(IgnoreReason::ActionNotOurs)
        );
        assert_eq!(action("pull_request", &body("opened", "Bot")), Action::Ignore(IgnoreReason::Bot));
    }

    #[test]
    fn a_command_is_taken_from_people_of_the_repository_on_pull_requests_only() {
        let body = |text: &str, association: &str, sender: &str, pull: &str| {
            format!(
                r#"{{"action":"created","repository":{{"full_name":"o/r"}},"sender":{{"login":"x","type":"{sender}"}},
                "issue":{{"number":7{pull}}},"comment":{{"id":9,"body":"{text}","author_association":"{association}",
                "user":{{"login":"x","type":"{sender}"}}}}}}"#
            )
        };
        let pull = r#","pull_request":{"url":"u"}"#;
        let asked = action("issue_comment", &body("/sentinel review", "MEMBER", "User", pull));
        let Action::Command(request) = asked else { panic!("{asked:?}") };
        assert_eq!((request.job.key.as_str(), request.by.as_str()), ("o/r#7@comment-9", "x"));
        for (text, association, sender, pull, reason) in [
            ("/sentinel review", "CONTRIBUTOR", "User", pull, IgnoreReason::Stranger),
            ("/sentinel review", "OWNER", "Bot", pull, IgnoreReason::Bot),
            ("/sentinel review", "OWNER", "User", "", IgnoreReason::NotAPullRequest),
            ("> /sentinel review", "OWNER", "User", pull, IgnoreReason::NotACommand),
        ] {
            assert_eq!(
                action("issue_comment", &body(text, association, sender, pull)),
                Action::Ignore(reason)
            );
        }
    }

    /// The events that are acted on, each with a body in which it is.
    fn bodies() -> Vec<(&'static str, String)> {
        let common = r#""repository":{"full_name":"o/r"},"installation":{"id":5},"sender":{"login":"x","type":"User"}"#;
        let pull = r#""pull_request":{"number":7,"head":{"sha":"abc"},"base":{"sha":"def"}}"#;
        let comment = r#""comment":{"id":9,"body":"/sentinel review","author_association":"OWNER","user":{"login":"x"}}"#;
        let body = |action: &str, rest: &str| format!(r#"{{"action":"{action}",{common},{rest}}}"#);
        vec![
            ("ping", format!(r#"{{"zen":"z","hook_id":1,{common}}}"#)),
            ("workflow_run", body("completed", r#""workflow_run":{"id":1,"conclusion":"failure"}"#)),
            ("workflow_job", body("completed", r#""workflow_job":{"id":1,"conclusion":"failure"}"#)),
            ("check_run", body("completed", r#""check_run":{"id":1,"conclusion":"failure"}"#)),
            ("pull_request", body("opened", &format!(r#""number":7,{pull}"#))),
            (
                "issue_comment",
                body("created", &format!(r#""issue":{{"number":7,"pull_request":{{}}}},{comment}"#)),
            ),
            (
                "installation",
                r#"{"action":"deleted","installation":{"id":5,"account":{"login":"o"}}}"#.to_owned(),
            ),
            // Not acted on, but like the others.
            ("pull_request_review", body("opened", pull)),
            ("pull_request_review_comment", body("created", &format!("{pull},{comment}"))),
            (
                "issue_comment",
                body("deleted", &format!(r#""issue":{{"number":7,"pull_request":{{}}}},{comment}"#)),
            ),
            ("repository", body("deleted", r#""organization":{"login":"o"}"#)),
            ("deployment", body("completed", r#""deployment":{"id":1},"workflow":{"id":1}"#)),
        ]
    }

    fn acts(event: &str, body: &str) -> bool {
        let delivery = parse(event, "application/json", body.as_bytes());
        delivery.is_ok_and(|delivery| !matches!(delivery.action, Action::Ignore(_) | Action::Pong))
    }

    #[test]
    fn under_another_events_name_no_body_does_anything() {
        let (mut own, mut other) = (0, 0);
        for (of, body) in bodies() {
            for name in [
                "ping",
                "workflow_run",
                "workflow_job",
                "check_run",
                "pull_request",
                "issue_comment",
                "installation",
            ] {
                if name == of {
                    own += usize::from(acts(name, &body));
                } else {
                    other += 1;
                    assert!(!acts(name, &body), "{of} as {name}: {body}");
                }
            }
        }
        // Each of the six that act does so under its own name.
        assert_eq!((own, other), (6, 76));
    }

    #[test]
    fn a_recorded_body_under_another_name_does_nothing() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/sample");
        for of in ["check_run", "issue_comment", "ping", "pull_request", "workflow_job", "workflow_run"] {
            let recorded = std::fs::read_to_string(format!("{folder}/{of}.json")).unwrap();
            for action in [None, Some("deleted"), Some("completed"), Some("opened"), Some("created")] {
                let mut body: serde_json::Value = serde_json::from_str(&recorded).unwrap();
                if let Some(action) = action {
                    body["action"] = action.into();
                }
                for name in [
                    "workflow_run",
                    "workflow_job",
                    "check_run",
                    "pull_request",
                    "issue_comment",
                    "installation",
                ] {
                    assert!(name == of || !acts(name, &body.to_string()), "{of} {action:?} as {name}");
                }
            }
        }
    }

    #[test]
    fn a_repository_that_would_lead_elsewhere_at_github_is_refused() {
        let body = r#"{"action":"completed","repository":{"full_name":"../../user"},"workflow_run":{"id":1,"conclusion":"failure"}}"#;
        let error = parse("workflow_run", "application/json", body.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("owner/name"), "{error}");
    }

    #[test]
    fn a_name_that_hides_something_is_stored_spelt_out() {
        let body = r#"{"action":"completed","repository":{"full_name":"o/r"},
            "workflow_run":{"id":1,"name":"CI\u202e\n::error ::x","conclusion":"failure"}}"#;
        let Action::Classify(record) = action("workflow_run", body) else {
            panic!("a failure is classified")
        };
        assert_eq!(record.workflow.as_deref(), Some(r"CI\u{202e}\n::error ::x"));
    }

    #[test]
    fn a_form_carries_the_same_payload() {
        let json = r#"{"action":"requested","repository":{"full_name":"o/r"},"workflow_run":{"id":1}}"#;
        let form: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("payload", json).finish();
        let delivery = parse("workflow_run", "application/x-www-form-urlencoded", form.as_bytes()).unwrap();
        assert_eq!(delivery.action, Action::Ignore(IgnoreReason::NotCompleted));
        assert_eq!(delivery.repository.as_deref(), Some("o/r"));
    }

    #[test]
    fn an_error_says_where_and_never_quotes_the_payload() {
        let error = parse("workflow_run", "application/json", br#"{"action": secret-token}"#).unwrap_err();
        assert!(!error.to_string().contains("secret-token"), "{error}");
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_panic(body: Vec<u8>, event in "ping|workflow_run|check_run|pull_request|issue_comment|x") {
            let _ = parse(&event, "application/json", &body);
            let _ = parse(&event, "application/x-www-form-urlencoded", &body);
        }
    }
}
