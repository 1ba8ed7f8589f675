//! Identifies the caller: the App's JWT, and the tokens of its installations.

use super::{APP_ID, Caller, HookAttempt, PERSON, Shared, World, message, unix_now};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// GitHub's JWTs live at most ten minutes.
const JWT_LIFE_SECONDS: u64 = 600;
/// An installation's token lives an hour.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// (private, public) PEM, made for this process.
static KEY: LazyLock<(String, String)> = LazyLock::new(|| {
    let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key");
    let public = RsaPublicKey::from(&private).to_pkcs1_pem(LineEnding::LF).expect("a public key");
    (private.to_pkcs1_pem(LineEnding::LF).expect("a private key").to_string(), public)
});

/// The App's private key, PEM.
#[must_use]
pub fn app_key() -> String {
    KEY.0.clone()
}

pub(super) fn routes() -> Router<Arc<Mutex<World>>> {
    Router::new()
        .route("/user", get(|| async { Json(json!({ "login": PERSON, "type": "User" })) }))
        .route("/app", get(app))
        .route("/app/hook/deliveries", get(hook_deliveries))
        .route("/app/hook/deliveries/{id}/attempts", post(redeliver))
        .route("/app/installations/{installation}/access_tokens", post(token))
        .route("/repos/{owner}/{repo}/installation", get(installation))
        .route("/repos/{owner}/{repo}/collaborators/{login}/permission", get(permission))
}

/// <https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook>: the newest first.
async fn hook_deliveries(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if caller != Caller::App {
        return message(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded");
    }
    let world = world.lock().expect("no handler panics");
    let from: usize = query.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let shown = world.hook_attempts.iter().rev().skip(from).take(100).map(|attempt| {
        let HookAttempt { id, guid, status, at } = attempt;
        json!({ "id": id, "guid": guid, "status_code": status, "status": if *status < 300 { "OK" } else { "failed" },
            "event": "workflow_run", "redelivery": false, "delivered_at": sentinel_shared::github::rfc3339(*at) })
    });
    let mut answer = Json(shown.collect::<Vec<_>>()).into_response();
    if world.hook_attempts.len() > from + 100 {
        let link =
            format!("<https://api.github.com/app/hook/deliveries?cursor={}>; rel=\"next\"", from + 100);
        answer.headers_mut().insert(header::LINK, link.parse().expect("a header"));
    }
    answer
}

/// <https://docs.github.com/rest/apps/webhooks#redeliver-a-delivery-for-an-app-webhook>: another attempt, another id.
async fn redeliver(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    let known = world.hook_attempts.iter().find(|known| known.id == id).map(|known| known.guid.clone());
    let (Caller::App, Some(guid)) = (caller, known) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let (next, status) = (world.id(), world.hook_answers);
    world.hook_attempts.push(HookAttempt { id: next, guid, status, at: unix_now() });
    (StatusCode::ACCEPTED, Json(json!({}))).into_response()
}

pub(super) fn manifest_routes() -> Router<Arc<Mutex<World>>> {
    Router::new().route("/app-manifests/{code}/conversions", post(convert))
}

/// <https://docs.github.com/rest/apps/apps#create-a-github-app-from-a-manifest>: once for each code.
async fn convert(State(world): Shared, Path(code): Path<String>) -> Response {
    if !world.lock().expect("no handler panics").manifest_codes.remove(&code) {
        return message(StatusCode::NOT_FOUND, "Not Found");
    }
    let made = json!({
        "id": 4711, "slug": "sentinel-of-acme", "html_url": "https://github.com/apps/sentinel-of-acme",
        "webhook_secret": "made <by> GitHub", "pem": app_key(), "client_id": "Iv1.0", "client_secret": "unused",
    });
    (StatusCode::CREATED, Json(made)).into_response()
}

/// Whether `bearer` is what the App signs: RS256, its id, not from the future, at most ten minutes.
pub(super) fn is_jwt_of_app(bearer: &str) -> bool {
    let key = DecodingKey::from_rsa_pem(KEY.1.as_bytes()).expect("a public key");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[APP_ID]);
    validation.set_required_spec_claims(&["exp", "iss"]);
    let Ok(decoded) = jsonwebtoken::decode::<Value>(bearer, &key, &validation) else { return false };
    let claim = |name: &str| decoded.claims[name].as_u64();
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let (Some(issued), Some(ends)) = (claim("iat"), claim("exp")) else { return false };
    issued <= now && ends <= now + JWT_LIFE_SECONDS
}

async fn app(Extension(caller): Extension<Caller>) -> Response {
    if caller != Caller::App {
        return message(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded");
    }
    Json(json!({ "id": 4711, "slug": "sentinel" })).into_response()
}

async fn token(
    State(world): Shared,
    Extension(caller): Extension<Caller>,
    Path(installation): Path<u64>,
) -> Response {
    if caller != Caller::App {
        return message(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded");
    }
    let mut world = world.lock().expect("no handler panics");
    let token = format!("ghs_installation_{installation}_{}", world.id());
    world.tokens.insert(token.clone(), (installation, Instant::now() + TOKEN_LIFE));
    let ends = sentinel_shared::github::rfc3339(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs() as i64 + 3600),
    );
    (StatusCode::CREATED, Json(json!({ "token": token, "expires_at": ends }))).into_response()
}

async fn installation(Extension(caller): Extension<Caller>) -> Response {
    if caller != Caller::App {
        return message(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded");
    }
    Json(json!({ "id": 99 })).into_response()
}

async fn permission(
    State(world): Shared,
    Path((owner, repo, login)): Path<(String, String, String)>,
) -> Response {
    let world = world.lock().expect("no handler panics");
    let permission =
        world.permissions.get(&(format!("{owner}/{repo}"), login)).map_or("none", String::as_str);
    Json(json!({ "permission": permission })).into_response()
}
