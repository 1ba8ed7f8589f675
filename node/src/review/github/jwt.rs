//! The JWT with which an App proves itself (RFC 7519, RS256): its key, and what it signs.
//!
//! Written out here, over the signing of the TLS library: the crates for JWTs sign with one that gives a key away by
//! how long it takes (RUSTSEC-2023-0071), or bring a second TLS library's C code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::RsaSigningKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{Signer, SigningKey};
use serde_json::json;

/// GitHub refuses a JWT from the future: its clock and ours may differ by this much.
const CLOCK_SKEW_SECONDS: i64 = 60;
/// How long a JWT is valid. GitHub refuses ten minutes and more.
const LIFE_SECONDS: i64 = 540;

/// The private key of an App, ready to sign.
pub struct AppKey(Box<dyn Signer>);

impl AppKey {
    /// Reads an RSA key in PEM: PKCS#1, which GitHub makes, or PKCS#8. None if it is neither.
    #[must_use]
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let key = RsaSigningKey::new(&PrivateKeyDer::from_pem_slice(pem).ok()?).ok()?;
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).map(Self)
    }

    /// Makes a JWT that proves for some minutes from `now` on, in Unix seconds, that the App `id` is calling. None if
    /// the key is too short to sign.
    pub(super) fn jwt(&self, id: &str, now: i64) -> Option<String> {
        let claims = json!({ "iat": now - CLOCK_SKEW_SECONDS, "exp": now + LIFE_SECONDS, "iss": id });
        let parts = [json!({ "alg": "RS256", "typ": "JWT" }), claims].map(|part| encoded(part.to_string()));
        let signed = parts.join(".");
        let signature = self.0.sign(signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", encoded(signature)))
    }
}

fn encoded(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}
