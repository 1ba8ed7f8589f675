//! A database that is served from the test's own process, and a client of it.

use crate::node::RUNTIME;
use sentinel_node::database::Store;
use sentinel_node::database::server::Server;
use std::path::Path;

/// Serves the file on a free port, which brings its schema up to date, and returns the address.
///
/// # Panics
/// If the file can't be opened or the port can't be taken.
pub fn served(file: &Path) -> String {
    RUNTIME.block_on(async {
        let server = Server::open(file, None).await.expect("the file opens");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, server.router()).await });
        url
    })
}

/// A client of the database at `url`.
///
/// # Panics
/// If this machine has no HTTP client.
#[must_use]
pub fn client(url: &str) -> Store {
    Store::new(sentinel_node::operate::http::client().build().expect("a client"), url, None)
}
