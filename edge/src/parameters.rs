//! The parameters of a request: its query, and small JSON bodies.

use crate::body;
use sentinel_shared::store::HISTORY_LIMIT;
use sentinel_shared::{Error, Result};
use worker::Request;

/// The rows of a list whose length is not asked for.
const HISTORY_DEFAULT: u32 = 100;
/// The largest small JSON body that is read.
pub(crate) const FORM_LIMIT_BYTES: usize = 16 * 1024;

/// The value of a query parameter, if it is there.
pub(crate) fn query(request: &Request, name: &str) -> Option<String> {
    let url = request.url().ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Reads a parameter that must be in the query.
pub(crate) fn needed(request: &Request, name: &'static str) -> Result<String> {
    query(request, name).ok_or(Error::ParameterMissing(name))
}

/// How many rows are asked for.
pub(crate) fn limit(request: &Request) -> Result<u32> {
    let Some(text) = query(request, "limit") else { return Ok(HISTORY_DEFAULT) };
    let expected = "a whole number from 1 to 1000";
    let number = text.parse().ok().filter(|limit| (1..=HISTORY_LIMIT).contains(limit));
    number.ok_or(Error::ParameterInvalid { name: "limit", expected })
}

/// Reads a whole number from the query, if it is there.
pub(crate) fn number(request: &Request, name: &'static str) -> Result<Option<i64>> {
    let parse =
        |text: String| text.parse().map_err(|_| Error::ParameterInvalid { name, expected: "a whole number" });
    query(request, name).map(parse).transpose()
}

/// Reads a small JSON body.
pub(crate) async fn form<T: serde::de::DeserializeOwned>(request: &mut Request) -> Result<T> {
    let body = body::read(request, FORM_LIMIT_BYTES).await?;
    serde_json::from_slice(&body).map_err(|error| Error::JsonInvalid(error.to_string()))
}
