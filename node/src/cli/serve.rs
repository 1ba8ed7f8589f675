//! `sentinel serve`: runs a node, which reviews pull requests.

use super::stop::stopped;
use crate::operate::config::{Config, Settings};
use crate::operate::node::Node;
use anyhow::Result;
use clap::Args;
use std::time::Instant;

/// Run a node: take jobs, run the model, post reviews, and serve the model over gRPC.
///
/// Any number of nodes may share one database, because only one node at a time has a job's lease. The worker notifies
/// this node over gRPC-web (if SENTINEL_NODE_URL is set there), or the node polls the database with --pull.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  SENTINEL_NODE_TOKEN=… TURSO_DATABASE_URL=libsql://… TURSO_AUTH_TOKEN=… \\\n  \
    GITHUB_APP_ID=… GITHUB_APP_PRIVATE_KEY=key.pem sentinel serve --pull"
)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self) -> Result<()> {
        let started = Instant::now();
        super::log_to_stderr();
        let config = Config::new(self.settings)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let stop = stopped()?;
            let node = Node::start(config).await?;
            super::print::announce(&format!(
                "listening on {} (ready after {} ms)",
                node.address,
                started.elapsed().as_millis()
            ));
            node.serve(stop).await
        })
    }
}
