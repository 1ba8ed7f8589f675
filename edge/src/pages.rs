//! The dashboard's three files. The page holds no data: its script asks the API with the reader's key.

use crate::respond;
use sentinel_shared::{Error, Result};
use worker::Response;

/// Nothing from elsewhere, nothing inline, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(crate) fn index() -> Result<Response> {
    file("text/html; charset=utf-8", include_str!("../assets/index.html"))
}

/// `GET /app.js`
pub(crate) fn script() -> Result<Response> {
    file("text/javascript; charset=utf-8", include_str!("../assets/app.js"))
}

/// `GET /style.css`
pub(crate) fn style() -> Result<Response> {
    file("text/css; charset=utf-8", include_str!("../assets/style.css"))
}

fn file(content_type: &str, text: &str) -> Result<Response> {
    let headers = [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "public, max-age=300"),
    ];
    respond::build(200, content_type, text.as_bytes().to_vec(), &headers).map_err(|_| Error::NotFound)
}
