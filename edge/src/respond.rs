//! Answers: JSON, and errors as problem documents (RFC 9457).

use sentinel_shared::{Error, Result};
use serde::Serialize;
use serde_json::json;
use worker::{Response, ResponseBuilder};

/// A JSON body under `status`.
pub(crate) fn json(status: u16, value: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(value).map_err(|_| Error::StoreShape("an answer"))?;
    build(status, "application/json", body, &[("cache-control", "no-store")])
        .map_err(|_| Error::StoreShape("an answer"))
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

/// `error` as `application/problem+json`.
pub(crate) fn problem(error: &Error) -> worker::Result<Response> {
    let code = error.code();
    let status = code.http_status();
    let body = json!({ "type": "about:blank", "title": code.label(), "status": status, "detail": error.to_string() });
    let mut headers = vec![("cache-control", "no-store")];
    let retry_after;
    if let Error::RateLimited { retry_after_seconds } = error {
        retry_after = retry_after_seconds.to_string();
        headers.push(("retry-after", &retry_after));
    }
    build(status, "application/problem+json", body.to_string().into_bytes(), &headers)
}
