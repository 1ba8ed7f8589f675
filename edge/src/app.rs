//! What one isolate keeps between requests: its settings, and a handle for each thing that it works with. A function takes
//! the handles it uses; only handlers, which use many, take the whole [`App`].

use crate::config::Config;
use crate::database::Database;
use crate::known_keys::KnownKeys;
use crate::limits::RateLimits;
use crate::models::Models;
use crate::refusals::Refusals;
use crate::standing::Standing;
use sentinel_shared::Result;
use sentinel_shared::artifact::ModelBundle;
use std::sync::{Arc, OnceLock};
use worker::Env;

pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) github: Standing,
    pub(crate) known_keys: KnownKeys,
    pub(crate) limits: RateLimits,
    pub(crate) models: Models,
    pub(crate) refusals: Refusals,
}

/// The isolate's state, built by its first event. An isolate has one thread, so no race is lost.
pub(crate) fn app(env: &Env) -> &'static App {
    static APP: OnceLock<App> = OnceLock::new();
    APP.get_or_init(|| {
        let config = Config::read(|name| env.var(name).ok().map(|value| value.to_string()));
        App {
            database: Database::of(&config),
            config,
            github: Standing::default(),
            known_keys: KnownKeys::default(),
            limits: RateLimits::of(env),
            models: Models::of(env),
            refusals: Refusals::default(),
        }
    })
}

impl App {
    /// The model that serves now, for a request that has not asked the registry yet.
    pub(crate) async fn model(&self) -> Result<Arc<ModelBundle>> {
        self.models.current(&self.config, &self.database).await
    }
}
