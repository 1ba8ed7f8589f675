//! The HTTP client that everything uses: rustls with ring, bounded connecting, few redirects.

use std::time::Duration;

/// A builder of clients. It chooses the provider of cryptography for all TLS of the process.
pub fn client() -> reqwest::ClientBuilder {
    // A second call says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::limited(3))
}
