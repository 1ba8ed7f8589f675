//! Answers: JSON, and errors as problem documents (RFC 9457).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sentinel_shared::api::problem::Problem;
use sentinel_shared::text::visible_document;
use sentinel_shared::{Error, Result};
use serde::Serialize;
use worker::{Response, ResponseBuilder};

/// What can't stand in a value of a query as it is. `owner/name` and `run:1:1` can, and stay readable (RFC 3986, 3.4).
const OUTSIDE_A_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');

/// A JSON body under `status`.
pub(crate) fn json(status: u16, value: &impl Serialize) -> Result<Response> {
    // People read these answers on the page and in terminals: what hides in a name is spelt out.
    let body = serde_json::to_string(value).map_err(|_| Error::Internal("the answer can't be built"))?;
    let body = visible_document(body).into_bytes();
    build(status, "application/json", body, &[("cache-control", "no-store")])
        .map_err(|_| Error::Internal("the answer can't be built"))
}

/// A body of any type, with further headers.
pub(crate) fn build(
    status: u16,
    content_type: &str,
    body: Vec<u8>,
    headers: &[(&str, &str)],
) -> worker::Result<Response> {
    let mut builder = ResponseBuilder::new()
        .with_status(status)
        .with_header("content-type", content_type)?
        .with_header("x-content-type-options", "nosniff")?;
    for (name, value) in headers {
        builder = builder.with_header(name, value)?;
    }
    Ok(builder.fixed(body))
}

/// `path` with a query, for a `Location`.
pub(crate) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, OUTSIDE_A_VALUE)))
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Answers with `error` as `application/problem+json`.
pub(crate) fn problem(error: &Error) -> worker::Result<Response> {
    let problem = Problem::from(error);
    let body = serde_json::to_vec(&problem)?;
    let mut headers = vec![("cache-control", "no-store")];
    let retry_after;
    if let Error::RateLimited { retry_after_seconds } = error {
        retry_after = retry_after_seconds.to_string();
        headers.push(("retry-after", &retry_after));
    }
    build(problem.status, "application/problem+json", body, &headers)
}
