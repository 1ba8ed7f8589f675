//! A client for the worker's JSON API, used by the operator's commands.

use crate::operate::hidden::Hidden;
use anyhow::{Context, Result, bail};
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sentinel_shared::api::models::Uploaded;
use sentinel_shared::api::problem::Problem;
use sentinel_shared::artifact::signed::SIGNED_LIMIT_BYTES;
use sentinel_shared::store::telemetry::StoredTelemetry;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The time that a worker has for one answer.
const DEADLINE: Duration = Duration::from_secs(60);
/// The largest part of a JSON answer that is read.
const ANSWER_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// The address of a worker and the key to use.
#[derive(Debug, Args)]
pub struct Worker {
    /// The address of the worker.
    #[arg(long, env = "SENTINEL_URL")]
    pub url: String,
    /// The API key for the worker.
    #[arg(long, env = "SENTINEL_API_KEY", hide_env_values = true)]
    pub api_key: Hidden,
}

type Sent = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

impl Worker {
    /// Posts a JSON body.
    ///
    /// # Errors
    /// The worker cannot be reached, the text of its problem document, or an answer of another shape.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(path, "application/json", &serde_json::to_vec(body)?)
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    /// As [`Worker::post`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        json(self.ask(path))
    }

    /// Sends a DELETE for `path`.
    ///
    /// # Errors
    /// As [`Worker::post`].
    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        json(agent(DEADLINE).delete(self.address(path)).header("x-api-key", self.api_key.expose()).call())
    }

    /// Uploads a signed bundle. The audit log names the holder of the key.
    ///
    /// # Errors
    /// As [`Worker::post`].
    pub fn push(&self, signed: &[u8]) -> Result<Uploaded> {
        self.send("/api/models", "application/octet-stream", signed)
    }

    /// Posts an XML document.
    ///
    /// # Errors
    /// As [`Worker::post`].
    pub(crate) fn xml<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T> {
        self.send(path, "application/xml", body)
    }

    /// Downloads the signed bundle of a registered version.
    ///
    /// # Errors
    /// As [`Worker::post`].
    pub fn bundle(&self, version: &str) -> Result<Vec<u8>> {
        let mut answer = accepted(self.ask(&format!("/api/models/bundle?version={}", url_encoded(version))))?;
        let body = answer.body_mut().with_config().limit(SIGNED_LIMIT_BYTES as u64);
        body.read_to_vec().context("reading the bundle")
    }

    /// Downloads stored telemetry since a Unix time, oldest first, and calls `each` for every record.
    ///
    /// # Errors
    /// As [`Worker::post`], and the errors of `each`.
    pub fn telemetry(
        &self,
        since: i64,
        corrected_only: bool,
        mut each: impl FnMut(StoredTelemetry) -> Result<()>,
    ) -> Result<()> {
        let mut after = 0;
        loop {
            let path = format!("/api/telemetry?after={after}&since={since}&corrected={corrected_only}");
            let page: Vec<StoredTelemetry> = self.get(&path)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    fn send<T: DeserializeOwned>(&self, path: &str, content_type: &str, body: &[u8]) -> Result<T> {
        let request = agent(DEADLINE).post(self.address(path));
        let request = request.header("x-api-key", self.api_key.expose()).header("content-type", content_type);
        json(request.send(body))
    }

    fn ask(&self, path: &str) -> Sent {
        agent(DEADLINE).get(self.address(path)).header("x-api-key", self.api_key.expose()).call()
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }
}

/// A client that accepts any status as an answer and limits the time of a whole call.
pub(crate) fn agent(deadline: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(deadline));
    config.build().new_agent()
}

fn accepted(answer: Sent) -> Result<ureq::http::Response<ureq::Body>> {
    let mut answer = answer.context("asking the worker")?;
    let status = answer.status();
    if !status.is_success() {
        // What stands before a worker may answer in another shape.
        let detail = answer.body_mut().read_json::<Problem>().map(|problem| problem.detail);
        bail!("the worker answered {status}: {}", detail.as_deref().unwrap_or("no reason given"));
    }
    Ok(answer)
}

fn json<T: DeserializeOwned>(answer: Sent) -> Result<T> {
    let mut answer = accepted(answer)?;
    let body = answer.body_mut().with_config().limit(ANSWER_LIMIT_BYTES);
    body.read_json().context("the worker did not answer as this version expects")
}

/// What can't stand in the value of a query as it is (RFC 3986, section 2.3).
const OUTSIDE_A_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes the value of a query parameter.
pub(crate) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, OUTSIDE_A_VALUE).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_survives_a_query() {
        assert_eq!(super::url_encoded("Mona L. & Ø"), "Mona%20L.%20%26%20%C3%98");
    }
}
