//! Sends webhook deliveries as GitHub does: signed and with GitHub's headers.

use sentinel_shared::signature::{Secret, Signature};
use serde_json::Value;
use std::time::Duration;

/// One delivery to be posted; every field can be made wrong.
pub struct Delivery {
    /// The kind of event, for `X-GitHub-Event`.
    pub event: String,
    /// The delivery's id, for `X-GitHub-Delivery`.
    pub id: String,
    /// The `Content-Type` of the body.
    pub content_type: String,
    /// `X-Hub-Signature-256`; None sends none.
    pub signature: Option<Vec<u8>>,
    /// Whether `Prefer: wait` asks for the verdict.
    pub wait: bool,
    /// The raw body of the request.
    pub body: Vec<u8>,
}

/// What the worker answered to a request.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The `Content-Type` of the answer.
    pub content_type: String,
    /// The `Location` header of the answer.
    pub location: Option<String>,
    /// The body, as JSON where it is JSON.
    pub body: Value,
}

/// A sender that keeps its connection, for load.
pub struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    /// A sender to the worker at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { agent: agent(), url: url.to_owned() }
    }

    /// Posts `delivery`; the status of the answer.
    pub fn post(&self, delivery: &Delivery) -> anyhow::Result<u16> {
        let mut response = delivery.request(&self.agent, &self.url).send(delivery.body.as_slice())?;
        response.body_mut().read_to_vec()?;
        Ok(response.status().as_u16())
    }
}

impl Delivery {
    /// A delivery of `payload`, signed with `secret`.
    #[must_use]
    pub fn signed(event: &str, id: &str, payload: &Value, secret: &str) -> Self {
        Self::raw(event, id, payload.to_string().into_bytes(), secret)
    }

    /// A delivery of any bytes, signed with `secret`.
    #[must_use]
    pub fn raw(event: &str, id: &str, body: Vec<u8>, secret: &str) -> Self {
        Self {
            event: event.to_owned(),
            id: id.to_owned(),
            content_type: "application/json".to_owned(),
            signature: Some(sign(&body, secret)),
            wait: true,
            body,
        }
    }

    /// Posts it to the worker at `url`.
    pub fn post(&self, url: &str) -> anyhow::Result<Answer> {
        answer(self.request(&agent(), url).send(self.body.as_slice())?)
    }

    fn request(&self, agent: &ureq::Agent, url: &str) -> ureq::RequestBuilder<ureq::typestate::WithBody> {
        let mut request = agent
            .post(format!("{url}/webhook/github"))
            .header("x-github-event", &self.event)
            .header("x-github-delivery", &self.id)
            .header("x-github-hook-id", "77")
            .header("content-type", &self.content_type);
        if let Some(signature) = &self.signature {
            request = request.header("x-hub-signature-256", signature.as_slice());
        }
        if self.wait {
            request = request.header("prefer", "wait");
        }
        request
    }
}

/// Gets `path` of the worker at `url` with an API key.
pub fn get(url: &str, path: &str, key: Option<&str>) -> anyhow::Result<Answer> {
    let mut request = agent().get(format!("{url}{path}"));
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    answer(request.call()?)
}

/// Posts `body` to `path` of the worker at `url` with an API key.
pub fn post(url: &str, path: &str, key: &str, content_type: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let request =
        agent().post(format!("{url}{path}")).header("x-api-key", key).header("content-type", content_type);
    answer(request.send(body)?)
}

/// The header value GitHub would send.
#[must_use]
pub fn sign(body: &[u8], secret: &str) -> Vec<u8> {
    let secret = Secret::new(secret).expect("tests sign with a secret");
    Signature::of(&secret, body).header().into_bytes()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(40)));
    config.build().new_agent()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> anyhow::Result<Answer> {
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, location) = (header("content-type").unwrap_or_default(), header("location"));
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, content_type, location, body })
}
