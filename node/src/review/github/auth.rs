//! Who we are to GitHub: a token, or an App with a token an installation.
//!
//! An App signs a JWT of at most ten minutes with its key and gets an installation's token for an hour
//! (<https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>).

use super::jwt::AppKey;
use super::{Github, JobError, parse};
use crate::database::now;
use reqwest::Method;
use sentinel_shared::github::unix_seconds;
use sentinel_shared::signature::Secret;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The time before its end at which a token is renewed, so that no job outlives its token.
const RENEW_BEFORE_SECONDS: i64 = 300;

/// Our credentials at GitHub.
pub enum Credentials {
    /// A personal access token. It cannot create check runs.
    Token(Secret),
    /// A GitHub App with its private key.
    App {
        /// The id or client id of the App.
        id: String,
        /// The private key of the App.
        key: AppKey,
    },
}

pub(super) struct Auth {
    credentials: Credentials,
    tokens: Mutex<HashMap<u64, Bearer>>,
    login: Mutex<Option<String>>,
}

struct Bearer {
    token: String,
    ends_at: i64,
}

impl Auth {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, tokens: Mutex::default(), login: Mutex::default() }
    }

    pub(super) fn is_app(&self) -> bool {
        matches!(self.credentials, Credentials::App { .. })
    }

    pub(super) fn jwt(&self) -> Result<String, JobError> {
        let Credentials::App { id, key } = &self.credentials else {
            return Err(JobError::Refused("only an App has a JWT".to_owned()));
        };
        key.jwt(id, now()).ok_or_else(|| JobError::Refused("the App's private key can't sign".to_owned()))
    }
}

impl Github {
    /// The token for an installation, or the one token.
    pub(super) async fn bearer(&self, installation: Option<u64>) -> Result<String, JobError> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
            expires_at: String,
        }
        let Some(installation) = installation else {
            return match &self.auth.credentials {
                Credentials::Token(token) => Ok(token.expose_text().to_owned()),
                Credentials::App { .. } => Err(JobError::Refused("an App needs an installation".to_owned())),
            };
        };
        let known = |tokens: &HashMap<u64, Bearer>| {
            let bearer = tokens.get(&installation)?;
            (bearer.ends_at - RENEW_BEFORE_SECONDS > now()).then(|| bearer.token.clone())
        };
        if let Some(token) = known(&self.auth.tokens.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(token);
        }
        let path = format!("/app/installations/{installation}/access_tokens");
        let answer: Answer = parse(&self.call_as_app(Method::POST, &path).await?.body)?;
        let ends_at = unix_seconds(&answer.expires_at).unwrap_or_else(now);
        let bearer = Bearer { token: answer.token.clone(), ends_at };
        self.auth.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(installation, bearer);
        Ok(answer.token)
    }

    pub(super) fn forget_bearer(&self, installation: Option<u64>) {
        if let Some(installation) = installation {
            self.auth.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&installation);
        }
    }

    /// The installation of the App on a repository.
    pub(super) async fn installation_of(&self, repository: &str) -> Result<u64, JobError> {
        #[derive(Deserialize)]
        struct Answer {
            id: u64,
        }
        let path = format!("/repos/{repository}/installation");
        let answer: Answer = parse(&self.call_as_app(Method::GET, &path).await?.body)?;
        Ok(answer.id)
    }

    /// The login under which we write.
    pub(super) async fn login(&self) -> Result<String, JobError> {
        #[derive(Deserialize)]
        struct Answer {
            login: Option<String>,
            slug: Option<String>,
        }
        let known = self.auth.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(login) = known {
            return Ok(login);
        }
        let answer: Answer = match &self.auth.credentials {
            Credentials::Token(_) => {
                let bearer = self.bearer(None).await?;
                parse(&self.call(Method::GET, "/user", &bearer, None).await?.body)?
            }
            Credentials::App { .. } => parse(&self.call_as_app(Method::GET, "/app").await?.body)?,
        };
        let login = answer.login.or_else(|| answer.slug.map(|slug| format!("{slug}[bot]")));
        let login = login.ok_or_else(|| JobError::Refused("GitHub does not say who we are".to_owned()))?;
        *self.auth.login.lock().unwrap_or_else(PoisonError::into_inner) = Some(login.clone());
        Ok(login)
    }
}
