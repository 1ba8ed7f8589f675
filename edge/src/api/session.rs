//! Signs browsers in and out.

use crate::clock::now;
use crate::guard::Visit;
use crate::{body, respond, session};
use sentinel_shared::access::{Principal, SESSION_SECONDS, Token};
use sentinel_shared::api::access::{SessionHolder, SignInRequest, SignedOut};
use sentinel_shared::store::access::{self, SignIn};
use sentinel_shared::{Error, Result};
use worker::{Request, Response};

/// The most of a sign-in that is read.
const SIGN_IN_LIMIT_BYTES: usize = 4 * 1024;

/// `POST /api/session` with `key`: signs this browser in.
pub(crate) async fn open(Visit { mut request, app, .. }: Visit) -> Result<Response> {
    session::same_origin(&request)?;
    app.limits.stranger(&request).await?;
    let body = body::read(&mut request, SIGN_IN_LIMIT_BYTES).await?;
    let SignInRequest { key } = serde_json::from_slice(&body)
        .map_err(|error| Error::JsonInvalid(format!("line {}", error.line())))?;
    let key = key.ok_or(Error::FieldMissing("key"))?;
    let principal = session::holder(&request, app, &key).await?;
    let operator = app.config.api_key()?;
    let opened = Token::session(&session::random()?, principal.key_id, operator);
    let (is_operators, handed_out, tag) =
        (operator.matches(key.as_bytes()), Token::presented(&key), operator.tag());
    let with = match &handed_out {
        Some(key) if !is_operators => SignIn::Key(key),
        _ => SignIn::Operator(&tag),
    };
    app.database.ask(access::open_session(&opened, with, now())).await?;
    signed_in(principal, &set_cookie(&request, opened.expose(), SESSION_SECONDS))
}

/// `GET /api/session`: who is signed in; nobody is no error.
pub(crate) async fn show(Visit { request, app, .. }: Visit) -> Result<Response> {
    match session::principal(&request, app).await {
        Ok(principal) => respond::json(200, &SessionHolder::from(principal)),
        Err(Error::ApiKeyRejected | Error::SessionOver) => respond::json(200, &SessionHolder::default()),
        Err(error) => Err(error),
    }
}

/// `DELETE /api/session`: signs this browser out. Without a session there is nothing to end.
pub(crate) async fn close(Visit { request, app, .. }: Visit) -> Result<Response> {
    session::same_origin(&request)?;
    if let Some(open) = session::cookie(&request) {
        app.database.ask(access::close_session(&open)).await?;
    }
    let answer = respond::json(200, &SignedOut { status: "signed out".into() })?;
    with_cookie(answer, &set_cookie(&request, "", 0))
}

/// <https://www.rfc-editor.org/rfc/rfc6265#section-4.1>. Secure wherever there is TLS: without it, on loopback, a
/// browser would drop the cookie.
fn set_cookie(request: &Request, value: &str, seconds: i64) -> String {
    format!(
        "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{}",
        session::COOKIE,
        session::secure(request)
    )
}

fn signed_in(principal: Principal, cookie: &str) -> Result<Response> {
    with_cookie(respond::json(200, &SessionHolder::from(principal))?, cookie)
}

fn with_cookie(mut answer: Response, cookie: &str) -> Result<Response> {
    answer
        .headers_mut()
        .set("set-cookie", cookie)
        .map_err(|_| Error::Internal("the answer can't be built"))?;
    Ok(answer)
}
