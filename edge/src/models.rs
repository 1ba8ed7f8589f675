//! Chooses the model that serves: the one in the registry, loaded at run time from the KV store, or else the built-in
//! one.
//!
//! A bundle that cannot be fetched, or whose signature or bytes are wrong, is refused. The model that served before
//! keeps serving, and `/health` and `/metrics` say so.

use crate::clock::now;
use crate::config::Config;
use crate::database::Database;
use sentinel_shared::api::health::ModelSource;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::store::models::{self, ActiveModel};
use sentinel_shared::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use worker::{Env, console_error, console_log};

/// Translated from `models/failure/model.onnx` at build time; see `sentinel model compile`.
const BUNDLE: &[u8] = include_bytes!("../../models/failure/compiled.bundle");
/// The KV namespace of signed bundles in `wrangler.toml`.
const BINDING: &str = "MODELS";
/// The seconds for which a refused bundle is not tried again.
const RETRY_SECONDS: i64 = 60;

/// The models of one isolate.
pub(crate) struct Models {
    /// The binding of the bundle store.
    env: Env,
    built_in: OnceLock<Result<Arc<ModelBundle>>>,
    loaded: Mutex<Option<(String, Arc<ModelBundle>)>>,
    refused: Mutex<Option<Refused>>,
}

/// A bundle that should serve and does not.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(crate) version: String,
    pub(crate) reason: String,
    digest: String,
    at: i64,
}

impl Models {
    pub(crate) fn of(env: &Env) -> Self {
        Self {
            env: env.clone(),
            built_in: OnceLock::new(),
            loaded: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// The built-in model, loaded by the first caller: a cold isolate that only says `pong` does not pay for it.
    fn built_in(&self) -> Result<Arc<ModelBundle>> {
        let load = || ModelBundle::from_bytes(BUNDLE).map(Arc::new);
        self.built_in.get_or_init(load).clone()
    }

    /// The model that serves in this isolate now, and whether it comes from the registry.
    pub(crate) fn serving(&self) -> Result<(Arc<ModelBundle>, ModelSource)> {
        match locked(&self.loaded).as_ref() {
            Some((_, bundle)) => Ok((Arc::clone(bundle), ModelSource::Registry)),
            None => self.built_in().map(|bundle| (bundle, ModelSource::BuiltIn)),
        }
    }

    /// The bundle that should serve and was refused, if any.
    pub(crate) fn refused(&self) -> Option<Refused> {
        locked(&self.refused).clone()
    }

    /// The model that the registry names, or the one that keeps serving in its place.
    pub(crate) async fn serve(
        &self,
        config: &Config,
        active: Option<&ActiveModel>,
    ) -> Result<Arc<ModelBundle>> {
        let Some(active) = active else {
            *locked(&self.loaded) = None;
            *locked(&self.refused) = None;
            return self.built_in();
        };
        if let Some((digest, bundle)) = locked(&self.loaded).as_ref()
            && *digest == active.digest
            && bundle.manifest.model_version == active.version
        {
            return Ok(Arc::clone(bundle));
        }
        let waits = |refused: &Refused| {
            refused.digest == active.digest
                && refused.version == active.version
                && now() - refused.at < RETRY_SECONDS
        };
        if self.refused().as_ref().is_some_and(waits) {
            return self.serving().map(|(bundle, _)| bundle);
        }
        match self.load(config, &active.version, &active.digest).await {
            Ok(bundle) => {
                console_log!("model.loaded: {}", active.version);
                *locked(&self.loaded) = Some((active.digest.clone(), Arc::clone(&bundle)));
                *locked(&self.refused) = None;
                Ok(bundle)
            }
            Err(error) => {
                console_error!("model.refused: {}: {error}", active.version);
                *locked(&self.refused) = Some(Refused {
                    version: active.version.clone(),
                    reason: error.to_string(),
                    digest: active.digest.clone(),
                    at: now(),
                });
                self.serving().map(|(bundle, _)| bundle)
            }
        }
    }

    /// The same for a request that has not asked the registry yet.
    pub(crate) async fn current(&self, config: &Config, database: &Database) -> Result<Arc<ModelBundle>> {
        let active = database.ask(models::active()).await?;
        self.serve(config, active.as_ref()).await
    }

    /// Fetches a signed bundle and checks its signature, then its bytes, then that it is the version the registry calls it:
    /// the registry's rows are not signed, and must not give an old bundle a newer name.
    pub(crate) async fn load(
        &self,
        config: &Config,
        version: &str,
        digest: &str,
    ) -> Result<Arc<ModelBundle>> {
        let bytes = self.fetch(digest).await?;
        let verified = config.model_keys()?.verify(&bytes)?;
        if verified.digest != digest {
            return Err(Error::ModelInvalid("its digest is not the registered one".into()));
        }
        verified.load_as(version).map(Arc::new)
    }

    /// The signed bundle of this digest, unchecked.
    pub(crate) async fn fetch(&self, digest: &str) -> Result<Vec<u8>> {
        let bytes = self.store()?.get(&key(digest)).bytes().await.map_err(|_| Error::StoreUnavailable)?;
        bytes.ok_or_else(|| Error::ModelInvalid("the bundle store does not have it".into()))
    }

    /// Keeps a signed bundle under its digest.
    pub(crate) async fn keep(&self, digest: &str, signed: &[u8]) -> Result<()> {
        let put = self.store()?.put_bytes(&key(digest), signed).map_err(|_| Error::StoreUnavailable)?;
        put.execute().await.map_err(|_| Error::StoreUnavailable)
    }

    fn store(&self) -> Result<worker::KvStore> {
        self.env.kv(BINDING).map_err(|_| Error::NotConfigured("the MODELS KV namespace"))
    }
}

fn key(digest: &str) -> String {
    format!("bundle/{digest}")
}

/// An isolate has one thread and no guard lives across an await, so nothing is ever poisoned half way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
