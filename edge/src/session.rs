//! Identifies the caller, by a key or by a browser session, and signs browsers in and out.
//!
//! A browser holds a cookie that no script can read and no other site can send. A change made with it must come from a
//! page of this address, as its `Origin` says.

use crate::app::App;
use crate::clock::now;
use crate::{body, respond};
use sentinel_shared::access::{Principal, SESSION_SECONDS, Token};
use sentinel_shared::api::access::{Credentials, Session, SignedOut};
use sentinel_shared::store::access::{self, SignIn};
use sentinel_shared::{Error, Result};
use worker::{Method, Request, Response};

const COOKIE: &str = "sentinel_session";
/// The most of a sign-in that is read.
const SIGN_IN_LIMIT_BYTES: usize = 4 * 1024;

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

/// `POST /api/session` with `key`: signs this browser in.
pub(crate) async fn open(mut request: Request, app: &App) -> Result<Response> {
    same_origin(&request)?;
    app.limits.stranger(&request).await?;
    let body = body::read(&mut request, SIGN_IN_LIMIT_BYTES).await?;
    let Credentials { key } = serde_json::from_slice(&body)
        .map_err(|error| Error::JsonInvalid(format!("line {}", error.line())))?;
    let key = key.ok_or(Error::FieldMissing("key"))?;
    let principal = holder(&request, app, &key).await?;
    let operator = app.config.api_key()?;
    let session = Token::session(&random()?, principal.key_id, operator);
    let (is_operators, handed_out, tag) =
        (operator.matches(key.as_bytes()), Token::presented(&key), operator.tag());
    let with = match &handed_out {
        Some(key) if !is_operators => SignIn::Key(key),
        _ => SignIn::Operator(&tag),
    };
    app.database.ask(access::open_session(&session, with, now())).await?;
    signed_in(principal, &set_cookie(&request, session.expose(), SESSION_SECONDS))
}

/// `GET /api/session`: who is signed in; nobody is no error.
pub(crate) async fn show(request: &Request, app: &App) -> Result<Response> {
    match principal(request, app).await {
        Ok(principal) => respond::json(200, &Session::from(principal)),
        Err(Error::ApiKeyRejected | Error::SessionOver) => respond::json(200, &Session::default()),
        Err(error) => Err(error),
    }
}

/// `DELETE /api/session`: signs this browser out. Without a session there is nothing to end.
pub(crate) async fn close(request: &Request, app: &App) -> Result<Response> {
    same_origin(request)?;
    if let Some(session) = cookie(request) {
        app.database.ask(access::close_session(&session)).await?;
    }
    let answer = respond::json(200, &SignedOut { status: "signed out".into() })?;
    with_cookie(answer, &set_cookie(request, "", 0))
}

async fn holder(request: &Request, app: &App, key: &str) -> Result<Principal> {
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
fn same_origin(request: &Request) -> Result<()> {
    let own = request.url().map_err(|_| Error::CrossSite)?.origin().ascii_serialization();
    if header(request, "origin").is_some_and(|origin| origin == own) { Ok(()) } else { Err(Error::CrossSite) }
}

fn cookie(request: &Request) -> Option<Token> {
    Token::presented(&cookie_named(request, COOKIE)?)
}

/// The value of a cookie.
pub(crate) fn cookie_named(request: &Request, name: &str) -> Option<String> {
    let header = header(request, "cookie")?;
    let value = header.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.to_owned())
}

/// <https://www.rfc-editor.org/rfc/rfc6265#section-4.1>. Secure wherever there is TLS: without it, on loopback, a
/// browser would drop the cookie.
fn set_cookie(request: &Request, value: &str, seconds: i64) -> String {
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{}", secure(request))
}

pub(crate) fn secure(request: &Request) -> &'static str {
    if request.url().is_ok_and(|url| url.scheme() == "https") { "; Secure" } else { "" }
}

fn signed_in(principal: Principal, cookie: &str) -> Result<Response> {
    with_cookie(respond::json(200, &Session::from(principal))?, cookie)
}

fn with_cookie(mut answer: Response, cookie: &str) -> Result<Response> {
    answer
        .headers_mut()
        .set("set-cookie", cookie)
        .map_err(|_| Error::Internal("the answer can't be built"))?;
    Ok(answer)
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}
