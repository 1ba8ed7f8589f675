//! Identifies the caller, by a key or by a browser session.
//!
//! A browser holds a cookie that no script can read and no other site can send. A change made with it must come from a
//! page of this address, as its `Origin` says.

use crate::app::App;
use crate::clock::now;
use sentinel_shared::access::{Principal, Token};
use sentinel_shared::store::access;
use sentinel_shared::{Error, Result};
use worker::{Method, Request};

/// The name of the session's cookie.
pub(crate) const COOKIE: &str = "sentinel_session";

/// Who asks, counted against their key before anything is asked of the store: the holder of the key in `X-API-Key` or of
/// the bearer token (which is what Prometheus sends), or else of the browser's session.
pub(crate) async fn principal(request: &Request, app: &App) -> Result<Principal> {
    let bearer = || {
        header(request, "authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned))
    };
    if let Some(key) = header(request, "x-api-key").or_else(bearer) {
        return holder(request, app, &key).await;
    }
    let operator = app.config.api_key()?;
    let session = cookie(request).ok_or(Error::ApiKeyRejected)?;
    if !matches!(request.method(), Method::Get | Method::Head) {
        same_origin(request)?;
    }
    let id = match session.session_key(operator) {
        Ok(id) => id,
        Err(made_up) => return Err(app.limits.refused(request, made_up).await),
    };
    app.limits.call(id).await?;
    app.database.ask(access::session_holder(&session, &operator.tag(), now())).await
}

/// The holder of `key`, counted against it.
pub(crate) async fn holder(request: &Request, app: &App, key: &str) -> Result<Principal> {
    if app.config.api_key()?.matches(key.as_bytes()) {
        app.limits.call(None).await?;
        return Ok(Principal::operator());
    }
    let wrong = || app.limits.refused(request, Error::ApiKeyRejected);
    let Some(key) = Token::presented(key) else { return Err(wrong().await) };
    let Some(id) = app.known_keys.id_of(&app.database, &key).await? else { return Err(wrong().await) };
    app.limits.call(Some(id)).await?;
    match app.database.ask(access::key_holder(&key)).await {
        // Revoked since it was seen.
        Err(Error::ApiKeyRejected) => Err(wrong().await),
        holder => holder,
    }
}

/// Random bytes of the runtime.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|_| Error::Internal("there are no random bytes"))?;
    Ok(bytes)
}

/// A browser says where a request comes from (<https://www.rfc-editor.org/rfc/rfc6454#section-7>), and no page can
/// change what it says.
pub(crate) fn same_origin(request: &Request) -> Result<()> {
    let own = request.url().map_err(|_| Error::CrossSite)?.origin().ascii_serialization();
    if header(request, "origin").is_some_and(|origin| origin == own) { Ok(()) } else { Err(Error::CrossSite) }
}

/// The session in the browser's cookie.
pub(crate) fn cookie(request: &Request) -> Option<Token> {
    Token::presented(&cookie_named(request, COOKIE)?)
}

/// The value of a cookie.
pub(crate) fn cookie_named(request: &Request, name: &str) -> Option<String> {
    let header = header(request, "cookie")?;
    let value = header.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.to_owned())
}

/// The attribute of a cookie that only TLS may carry.
pub(crate) fn secure(request: &Request) -> &'static str {
    if request.url().is_ok_and(|url| url.scheme() == "https") { "; Secure" } else { "" }
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}
