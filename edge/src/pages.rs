//! The dashboard's files. They hold no data; their script asks the API with the reader's session.

use crate::guard::Visit;
use crate::respond;
use sentinel_shared::{Error, Result};
use worker::Response;

/// Nothing from elsewhere, nothing inline, nothing framed. WebAssembly is the playground's.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, content type and text of each file.
const FILES: [(&str, &str, &str); 17] = [
    ("/", "text/html; charset=utf-8", include_str!("../assets/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
    ("/js/app.js", SCRIPT, include_str!("../assets/js/app.js")),
    ("/js/ask.js", SCRIPT, include_str!("../assets/js/ask.js")),
    ("/js/cause.js", SCRIPT, include_str!("../assets/js/cause.js")),
    ("/js/charts.js", SCRIPT, include_str!("../assets/js/charts.js")),
    ("/js/deliveries.js", SCRIPT, include_str!("../assets/js/deliveries.js")),
    ("/js/drift.js", SCRIPT, include_str!("../assets/js/drift.js")),
    ("/js/evidence.js", SCRIPT, include_str!("../assets/js/evidence.js")),
    ("/js/failures.js", SCRIPT, include_str!("../assets/js/failures.js")),
    ("/js/models.js", SCRIPT, include_str!("../assets/js/models.js")),
    ("/js/overview.js", SCRIPT, include_str!("../assets/js/overview.js")),
    ("/js/page.js", SCRIPT, include_str!("../assets/js/page.js")),
    ("/js/playground.js", SCRIPT, include_str!("../assets/js/playground.js")),
    ("/js/reviews.js", SCRIPT, include_str!("../assets/js/reviews.js")),
    ("/js/run.js", SCRIPT, include_str!("../assets/js/run.js")),
    ("/js/verdicts.js", SCRIPT, include_str!("../assets/js/verdicts.js")),
];

/// `GET /openapi.yaml`: what the API takes and answers.
pub(crate) async fn reference(_: Visit) -> Result<Response> {
    let text = include_str!("../../docs/openapi.yaml");
    let headers = [("cache-control", "no-cache")];
    respond::build(200, "application/yaml", text.as_bytes().to_vec(), &headers)
        .map_err(|_| Error::Internal("the answer can't be built"))
}

/// Whether `path` is one of them.
pub(crate) fn has(path: &str) -> bool {
    FILES.iter().any(|(at, ..)| *at == path)
}

/// The file at `path`.
pub(crate) fn serve(path: &str) -> Result<Response> {
    let (_, content_type, text) = FILES.iter().find(|(at, ..)| *at == path).ok_or(Error::NotFound)?;
    let headers = [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        // A new version must not meet the scripts of the old one.
        ("cache-control", "no-cache"),
    ];
    respond::build(200, content_type, text.as_bytes().to_vec(), &headers)
        .map_err(|_| Error::Internal("the answer can't be built"))
}
