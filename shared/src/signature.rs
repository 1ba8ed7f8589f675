//! Checks the webhook's HMAC and the API key, both in constant time.
//!
//! Only [`WebhookSecrets::verify`] creates a [`Verified`] body, so nothing parses bytes that were not checked first.
//! Source: <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>.

use crate::{Error, Result, hex};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &[u8] = b"sha256=";

/// A configured secret. It has neither `Debug` nor `Display`, so it can't reach a log.
pub struct Secret(Box<str>);

/// The secrets a delivery may be signed with: the current one and, during a rotation, the one before it.
pub struct WebhookSecrets {
    current: Secret,
    previous: Option<Secret>,
}

/// The 32 bytes of an `X-Hub-Signature-256` header.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

/// Bytes whose signature was checked.
#[derive(Clone, Copy)]
pub struct Verified<'a>(&'a [u8]);

// === impl Secret ===

impl Secret {
    /// Reads a secret from the configuration. `None` if it is empty, because anybody could guess an empty secret.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The secret's bytes, for the last call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret as it was given, for a header.
    #[must_use]
    pub fn expose_text(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this secret. Compares two digests, so neither content nor length leaks by timing.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let digest = mac(b"sentinel api key", candidate).finalize().into_bytes();
        mac(b"sentinel api key", self.expose()).verify_slice(&digest).is_ok()
    }

    /// Makes eight bytes for `message` that nobody can make without this secret.
    #[must_use]
    pub fn seal(&self, message: &[u8]) -> [u8; 8] {
        let sealed = mac(self.expose(), &[b"sentinel seal\0", message].concat()).finalize().into_bytes();
        *sealed.first_chunk().expect("a digest is longer than a seal")
    }

    /// Whether `seal` is this secret's for `message`. Compares in constant time.
    #[must_use]
    pub fn sealed(&self, message: &[u8], seal: &[u8; 8]) -> bool {
        mac(self.expose(), &[b"sentinel seal\0", message].concat()).verify_truncated_left(seal).is_ok()
    }

    /// A value that distinguishes this secret from its successor and may be stored.
    #[must_use]
    pub fn tag(&self) -> String {
        hex::encode(&mac(self.expose(), b"sentinel session").finalize().into_bytes())
    }
}

// === impl WebhookSecrets ===

impl WebhookSecrets {
    /// The secrets of one webhook. `previous` stays valid until it is removed from the configuration.
    #[must_use]
    pub fn new(current: Secret, previous: Option<Secret>) -> Self {
        Self { current, previous }
    }

    /// Checks `header` (the raw value of `X-Hub-Signature-256`) against the raw `body`.
    ///
    /// # Errors
    /// [`Error::SignatureMissing`], [`Error::SignatureMalformed`] or [`Error::SignatureMismatch`].
    pub fn verify<'a>(&self, header: Option<&[u8]>, body: &'a [u8]) -> Result<Verified<'a>> {
        let signature = Signature::parse(header.ok_or(Error::SignatureMissing)?)?;
        // Both are always computed: the answer's timing does not say which secret is live.
        let by_current = signature.signs(&self.current, body);
        let by_previous = self.previous.as_ref().is_some_and(|secret| signature.signs(secret, body));
        if by_current | by_previous { Ok(Verified(body)) } else { Err(Error::SignatureMismatch) }
    }
}

// === impl Signature ===

impl Signature {
    /// Parses `sha256=` and 64 hexadecimal digits, from raw header bytes (which need not be ASCII).
    ///
    /// # Errors
    /// [`Error::SignatureMalformed`].
    pub fn parse(header: &[u8]) -> Result<Self> {
        let digits = header.strip_prefix(PREFIX).ok_or(Error::SignatureMalformed)?;
        hex::decode(digits).map(Self).ok_or(Error::SignatureMalformed)
    }

    /// Signs `body`, as GitHub would.
    #[must_use]
    pub fn of(secret: &Secret, body: &[u8]) -> Self {
        Self(mac(secret.expose(), body).finalize().into_bytes().into())
    }

    /// The header value GitHub would send.
    #[must_use]
    pub fn header(&self) -> String {
        format!("sha256={}", hex::encode(&self.0))
    }

    fn signs(&self, secret: &Secret, body: &[u8]) -> bool {
        mac(secret.expose(), body).verify_slice(&self.0).is_ok()
    }
}

// === impl Verified ===

impl<'a> Verified<'a> {
    /// The bytes, now safe to parse.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GITHUB_SECRET: &str = "It's a Secret to Everybody";
    const GITHUB_SIGNATURE: &[u8] =
        b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    #[test]
    fn githubs_documented_vector_verifies() {
        let secrets = WebhookSecrets::new(secret(GITHUB_SECRET), None);
        assert!(secrets.verify(Some(GITHUB_SIGNATURE), b"Hello, World!").is_ok());
        assert_eq!(
            Signature::of(&secret(GITHUB_SECRET), b"Hello, World!").header().as_bytes(),
            GITHUB_SIGNATURE
        );
    }

    #[test]
    fn both_secrets_are_live_during_a_rotation_and_an_older_one_is_not() {
        let secrets = WebhookSecrets::new(secret("new"), Some(secret("old")));
        for (key, accepted) in [("new", true), ("old", true), ("older", false)] {
            let header = Signature::of(&secret(key), b"body").header();
            assert_eq!(secrets.verify(Some(header.as_bytes()), b"body").is_ok(), accepted, "{key}");
        }
    }

    #[test]
    fn a_header_that_is_not_ascii_is_malformed_and_not_a_crash() {
        let secrets = WebhookSecrets::new(secret("s"), None);
        let error = secrets.verify(Some("sha256=é".as_bytes()), b"").err();
        assert_eq!(error, Some(Error::SignatureMalformed));
        assert_eq!(secrets.verify(None, b"").err(), Some(Error::SignatureMissing));
    }

    #[test]
    fn an_empty_secret_is_no_secret() {
        assert!(Secret::new("").is_none());
    }

    #[test]
    fn an_api_key_matches_itself_only() {
        assert!(secret("key").matches(b"key"));
        assert!(!secret("key").matches(b"key2"));
        assert!(!secret("key").matches(b""));
    }

    proptest! {
        #[test]
        fn any_header_bytes_are_answered_without_panic(header: Vec<u8>, body: Vec<u8>) {
            let secrets = WebhookSecrets::new(secret("s"), None);
            prop_assert!(secrets.verify(Some(&header), &body).is_err());
        }

        #[test]
        fn a_changed_body_never_verifies(body: Vec<u8>, extra: u8) {
            let header = Signature::of(&secret("s"), &body).header();
            let mut longer = body.clone();
            longer.push(extra);
            let secrets = WebhookSecrets::new(secret("s"), None);
            prop_assert!(secrets.verify(Some(header.as_bytes()), &body).is_ok());
            prop_assert!(secrets.verify(Some(header.as_bytes()), &longer).is_err());
        }
    }
}
