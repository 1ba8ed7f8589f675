//! Webhooks: any signed body under any event is understood, ignored or refused, and what is then asked of GitHub
//! belongs to a repository.
//!
//! An input is the event's name, a line end, and the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::signature::{Secret, Signature, WebhookSecrets};
use sentinel_shared::webhook::{Action, Delivery, Headers};
use std::sync::LazyLock;

static SECRET: LazyLock<Secret> = LazyLock::new(|| Secret::new("secret").expect("not empty"));
static SECRETS: LazyLock<WebhookSecrets> =
    LazyLock::new(|| WebhookSecrets::new(Secret::new("secret").expect("not empty"), None));

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let (event, body) = (std::str::from_utf8(&input[..end]).ok(), &input[end + 1..]);
    let header = Signature::of(&SECRET, body).header();
    let verified = SECRETS.verify(Some(header.as_bytes()), body).expect("signed just now");
    let content_type =
        if body.starts_with(b"payload=") { "application/x-www-form-urlencoded" } else { "application/json" };
    let headers =
        Headers { event, delivery: Some("1"), hook: None, content_type: Some(content_type) };
    let Ok(delivery) = Delivery::parse(headers, verified) else { return };
    let repository = match &delivery.action {
        Action::Classify(record) => &record.repository,
        Action::Passed(run) => &run.repository,
        Action::Review(job) => &job.repository,
        Action::Command(request) => &request.job.repository,
        Action::Pong | Action::Uninstall(_) | Action::Ignore(_) => return,
    };
    let (owner, name) = repository.split_once('/').expect("owner/name");
    for part in [owner, name] {
        let is_plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        assert!(is_plain && !part.is_empty() && part != "." && part != "..", "{repository:?}");
    }
});
