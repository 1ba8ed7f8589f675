//! Creates the GitHub App: GitHub gets a manifest, and returns a code that is good for the App's secrets, once.
//!
//! Source: <https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>. Nothing is
//! stored here. The person who created the App sees its secrets once, with the commands that store them.

use crate::guard::Visit;
use crate::parameters::Parameters;
use crate::{github, respond, session};
use sentinel_shared::{Error, Result, hex};
use serde::Deserialize;
use serde_json::json;
use worker::{Request, Response};

const PAGE: &str = include_str!("../assets/setup.html");
const DONE: &str = include_str!("../assets/setup-done.html");
/// As the dashboard's, but the form goes to GitHub.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; \
                      form-action 'self' https://github.com; frame-ancestors 'none'";
/// Longest name of an organisation (<https://docs.github.com/get-started/start-your-journey/creating-an-account-on-github>).
const NAME_CHARS: usize = 39;
const CODE_CHARS: usize = 128;
const STATE_COOKIE: &str = "sentinel_setup";
/// Random bytes of a state: nobody guesses it.
const STATE_BYTES: usize = 16;
/// As long as GitHub's code is good.
const STATE_SECONDS: u32 = 3600;

/// What GitHub tells of a new App.
#[derive(Deserialize)]
struct Made {
    id: u64,
    slug: String,
    html_url: String,
    webhook_secret: Option<String>,
    pem: String,
}

/// `GET /setup?org=NAME`: the form that makes the App, for a person or an organisation.
pub(crate) async fn page(Visit { request, .. }: Visit) -> Result<Response> {
    let query = Parameters::of(&request);
    let organisation = query.text("org").unwrap_or_default();
    let fits = |name: &str| {
        name.len() <= NAME_CHARS && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !fits(organisation) {
        return Err(Error::ParameterInvalid { name: "org", expected: "an organisation's name" });
    }
    // GitHub hands it back: what comes without it did not begin in this browser.
    let state = hex::encode(&session::random::<STATE_BYTES>()?);
    let action = if organisation.is_empty() {
        format!("https://github.com/settings/apps/new?state={state}")
    } else {
        format!("https://github.com/organizations/{organisation}/settings/apps/new?state={state}")
    };
    let url = request
        .url()
        .map_err(|_| Error::Internal("the request has no address"))?
        .origin()
        .ascii_serialization();
    let manifest = json!({
        "name": "Sentinel",
        "url": url,
        "description": "Why did this run fail, and what in this pull request deserves a second look?",
        "hook_attributes": { "url": format!("{url}/webhook/github"), "active": true },
        "redirect_url": format!("{url}/setup/done"),
        "public": false,
        // The least that the work needs: logs, diffs, the review, and where verdicts are published.
        "default_permissions": {
            "actions": "read", "checks": "write", "contents": "read", "metadata": "read", "pull_requests": "write",
        },
        "default_events": ["workflow_run", "pull_request", "issue_comment"],
    });
    let fields = [("action", &*action), ("organisation", organisation), ("manifest", &manifest.to_string())];
    with_state(&request, html(PAGE, &fields)?, &state, STATE_SECONDS)
}

/// `GET /setup/done?code=&state=`: where GitHub leads back to. The code is good for one hour and one call, and the state
/// must be the one this browser was given with the form: a stranger's link would install a stranger's App.
pub(crate) async fn done(Visit { request, app, .. }: Visit) -> Result<Response> {
    app.limits.stranger(&request).await?;
    let query = Parameters::of(&request);
    let code = query.needed("code")?;
    let fits = code.len() <= CODE_CHARS
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !fits || code.is_empty() {
        return Err(Error::ParameterInvalid { name: "code", expected: "what GitHub sent" });
    }
    let state = query.text("state").filter(|state| !state.is_empty());
    if state.is_none() || state.map(str::to_owned) != session::cookie_named(&request, STATE_COOKIE) {
        return Err(Error::CrossSite);
    }
    let made: Option<Made> =
        github::exchange(&app.config, &format!("/app-manifests/{code}/conversions")).await?;
    let expected = "one that GitHub gave in the last hour, and that was not used yet";
    let made = made.ok_or(Error::ParameterInvalid { name: "code", expected })?;
    let fields = [
        ("slug", made.slug.as_str()),
        ("install", &format!("{}/installations/new", made.html_url)),
        ("id", &made.id.to_string()),
        ("secret", made.webhook_secret.as_deref().unwrap_or_default()),
        ("key", made.pem.trim()),
    ];
    with_state(&request, html(DONE, &fields)?, "", 0)
}

/// Lax, since GitHub's page leads back here.
fn with_state(request: &Request, mut page: Response, state: &str, seconds: u32) -> Result<Response> {
    let secure = session::secure(request);
    let cookie =
        format!("{STATE_COOKIE}={state}; Path=/setup; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    page.headers_mut()
        .set("set-cookie", &cookie)
        .map_err(|_| Error::Internal("the answer can't be built"))?;
    Ok(page)
}

/// A page with its `{{name}}`s filled in. Values are escaped, so none becomes a tag, and are not filled in themselves.
fn html(page: &str, fields: &[(&str, &str)]) -> Result<Response> {
    let template = Error::Internal("a page's template");
    let mut parts = page.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or_else(|| template.clone())?;
        let (_, value) = fields.iter().find(|(field, _)| *field == name).ok_or_else(|| template.clone())?;
        filled += &escaped(value);
        filled += rest;
    }
    let headers = [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    respond::build(200, "text/html; charset=utf-8", filled.into_bytes(), &headers)
        .map_err(|_| Error::Internal("the answer can't be built"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
