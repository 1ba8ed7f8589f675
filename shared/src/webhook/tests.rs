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
        ("cancelled", true),
        ("action_required", false),
        ("neutral", false),
        ("skipped", false),
        ("stale", false),
    ];
    for (conclusion, classified) in conclusions {
        let body = format!(
            r#"{{"action":"completed","repository":{{"full_name":"o/r"}},"workflow_run":{{"id":1,"conclusion":"{conclusion}"}}}}"#
        );
        assert_eq!(matches!(action("workflow_run", &body), Action::Classify(_)), classified, "{conclusion}");
    }
}

#[test]
fn a_run_that_passed_is_told_with_what_history_needs_of_it() {
    let body = r#"{"action":"completed","repository":{"full_name":"o/r","default_branch":"main"},"installation":{"id":5},
        "sender":{"login":"x"},"workflow_run":{"id":7,"run_attempt":2,"name":"CI","conclusion":"success",
        "head_branch":"topic","head_sha":"abc","head_repository":{"full_name":"o/r"},"event":"pull_request",
        "pull_requests":[{"number":9},{"number":10}],"updated_at":"2026-01-01T00:00:00Z","actor":{"login":"mona"}}}"#;
    let Action::Passed(run) = action("workflow_run", body) else { panic!("a success is remembered") };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        *run,
        PassedRun {
            repository: "o/r".into(),
            installation_id: Some(5),
            run_id: 7,
            run_attempt: 2,
            workflow: text("CI"),
            branch: text("topic"),
            default_branch: text("main"),
            head_sha: text("abc"),
            trigger: text("pull_request"),
            author: text("mona"),
            pull: Some(9),
            ended_at: Some(1_767_225_600),
        }
    );
}

#[test]
fn of_a_failure_branch_event_and_pull_request_are_told_and_a_forks_branch_is_not_the_repositorys() {
    let run = |head: &str| {
        let body = format!(
            r#"{{"action":"completed","repository":{{"full_name":"o/r","default_branch":"main"}},"workflow_run":{{"id":7,
            "conclusion":"cancelled","head_branch":"main","head_repository":{head},"event":"push","pull_requests":[]}}}}"#
        );
        let Action::Classify(record) = action("workflow_run", &body) else { panic!("{body}") };
        assert_eq!((record.conclusion, record.pull), (crate::failure::Conclusion::Cancelled, None));
        assert_eq!(
            (record.trigger.as_deref(), record.default_branch.as_deref()),
            (Some("push"), Some("main"))
        );
        record.branch
    };
    assert_eq!(run(r#"{"full_name":"o/r"}"#).as_deref(), Some("main"));
    assert_eq!(run("null").as_deref(), Some("main"));
    assert_eq!(run(r#"{"full_name":"mona/r"}"#).as_deref(), Some("mona:main"));
    let check = r#"{"action":"completed","repository":{"full_name":"o/r"},"check_run":{"id":1,"conclusion":"failure",
        "check_suite":{"head_branch":"topic"},"pull_requests":[{"number":3}]}}"#;
    let Action::Classify(record) = action("check_run", check) else { panic!("a failure is classified") };
    assert_eq!((record.branch.as_deref(), record.pull), (Some("topic"), Some(3)));
    let job = r#"{"action":"completed","repository":{"full_name":"o/r"},
        "workflow_job":{"id":1,"conclusion":"failure","head_branch":"topic"}}"#;
    let Action::Classify(record) = action("workflow_job", job) else { panic!("a failure is classified") };
    assert_eq!(record.branch.as_deref(), Some("topic"));
}

#[test]
fn of_a_job_or_a_check_only_a_failure_is_looked_into() {
    for event in ["workflow_job", "check_run"] {
        for conclusion in ["success", "cancelled", "skipped"] {
            let body = format!(
                r#"{{"action":"completed","repository":{{"full_name":"o/r"}},"{event}":{{"id":1,"conclusion":"{conclusion}"}}}}"#
            );
            assert_eq!(action(event, &body), Action::Ignore(IgnoreReason::NotFailed), "{event} {conclusion}");
        }
    }
}

#[test]
fn a_run_without_its_nullable_fields_is_attempt_one_of_an_unknown_author() {
    let body = r#"{"action":"completed","repository":{"full_name":"o/r"},"workflow_run":
        {"id":1,"name":null,"actor":null,"run_attempt":null,"head_sha":null,"conclusion":"failure"}}"#;
    let Action::Classify(record) = action("workflow_run", body) else { panic!("a failure is classified") };
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
        let Action::Review(job) = action("pull_request", &body(wanted, "User")) else { panic!("{wanted}") };
        assert_eq!((job.key.as_str(), job.installation_id), ("o/r#7@abc", Some(5)));
    }
    assert_eq!(action("pull_request", &body("closed", "User")), Action::Ignore(IgnoreReason::ActionNotOurs));
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
        assert_eq!(action("issue_comment", &body(text, association, sender, pull)), Action::Ignore(reason));
    }
}

/// The events that are acted on, and `ping`, which is answered.
const EVENTS: [&str; 7] =
    ["ping", "workflow_run", "workflow_job", "check_run", "pull_request", "issue_comment", "installation"];

/// Each event of [`EVENTS`] with a body in which it is acted on, and events that look like them.
fn bodies() -> Vec<(&'static str, String)> {
    let common =
        r#""repository":{"full_name":"o/r"},"installation":{"id":5},"sender":{"login":"x","type":"User"}"#;
    let pull = r#""pull_request":{"number":7,"head":{"sha":"abc"},"base":{"sha":"def"}}"#;
    let comment =
        r#""comment":{"id":9,"body":"/sentinel review","author_association":"OWNER","user":{"login":"x"}}"#;
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
        for name in EVENTS {
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
            for name in EVENTS {
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
    let Action::Classify(record) = action("workflow_run", body) else { panic!("a failure is classified") };
    assert_eq!(record.workflow.as_deref(), Some(r"CI\u{202e}\n::error ::x"));
}

#[test]
fn a_form_carries_the_same_payload() {
    let json = r#"{"action":"requested","repository":{"full_name":"o/r"},"workflow_run":{"id":1}}"#;
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("payload", json).finish();
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
