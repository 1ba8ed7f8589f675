//! A compiled bundle under an Ed25519 signature (RFC 8032), the form in which a trainer sends it to a worker.
//!
//! The worker holds only public keys, so neither its API key nor its database can install a model. Layout: magic, id of
//! the key, signature, compiled bundle. The signature covers a fixed prefix and the bundle, so it is not valid anywhere
//! else. A review model is too large to be sent as one file. Its manifest names the hash of every other file and is
//! signed in the same form, without a bundle.

use super::{ModelBundle, hex_digest};
use crate::{Error, Result, hex};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

const MAGIC: &[u8; 8] = b"SNTLSM01";
const BUNDLE: &[u8] = b"sentinel failure model bundle\0";
const MANIFEST: &[u8] = b"sentinel review model manifest\0";
const KEY_ID_BYTES: usize = 8;
const SIGNATURE_BYTES: usize = 64;

/// The largest signed bundle that is read.
pub const SIGNED_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// The keys that may sign models; two during a rotation.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(Vec<VerifyingKey>);

/// The secret half. No `Debug` and no `Display`.
pub struct PrivateKey(SigningKey);

/// A bundle whose signature was checked.
pub struct VerifiedBundle<'a> {
    /// SHA-256 of the signed bytes: the name it is stored under.
    pub digest: String,
    bundle: &'a [u8],
}

// === impl PublicKeys ===

impl PublicKeys {
    /// Reads comma-separated keys of 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] with the place of the key that is none. Its text is not quoted: it may be a private key.
    pub fn parse(text: &str) -> Result<Self> {
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        let key = |(at, key): (usize, &str)| {
            let place = at + 1;
            let bytes = hex::decode(key.as_bytes()).ok_or_else(|| {
                let digits = key.chars().count();
                Error::KeyInvalid(format!(
                    "public key {place} has {digits} characters; it must be 64 hexadecimal digits"
                ))
            })?;
            VerifyingKey::from_bytes(&bytes)
                .map_err(|_| Error::KeyInvalid(format!("public key {place} is no Ed25519 public key")))
        };
        keys.enumerate().map(key).collect::<Result<_>>().map(Self)
    }

    /// Whether there is no key, so that nobody may sign.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the signature of `signed`, before anything in it is read.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for bytes that are no signed bundle, a key that is not ours, or a signature that
    /// does not fit.
    pub fn verify<'a>(&self, signed: &'a [u8]) -> Result<VerifiedBundle<'a>> {
        let (seal, bundle) = Seal::split(signed).map_err(|what| invalid("signed bundle", what))?;
        self.check(&seal, BUNDLE, bundle).map_err(|what| invalid("signed bundle", what))?;
        Ok(VerifiedBundle { digest: hex_digest(signed), bundle })
    }

    /// Checks that `signature` is one of `manifest`, a review model's.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`], as [`Self::verify`].
    pub fn verify_manifest(&self, manifest: &[u8], signature: &[u8]) -> Result<()> {
        let checked = Seal::split(signature).and_then(|(seal, rest)| {
            let whole = rest.is_empty().then_some(()).ok_or("there is more than a signature");
            whole.and_then(|()| self.check(&seal, MANIFEST, manifest))
        });
        checked.map_err(|what| invalid("manifest.sig", what))
    }

    fn check(&self, seal: &Seal, context: &[u8], bytes: &[u8]) -> std::result::Result<(), &'static str> {
        let key = self.0.iter().find(|key| key_id(key) == seal.key_id);
        let key = key.ok_or("it is signed with a key that is not trusted here")?;
        key.verify_strict(&[context, bytes].concat(), &Signature::from_bytes(&seal.signature))
            .map_err(|_| "the signature does not fit its bytes")
    }
}

// === impl VerifiedBundle ===

impl VerifiedBundle<'_> {
    /// Loads the bundle.
    ///
    /// # Errors
    /// As [`ModelBundle::from_bytes`].
    pub fn load(&self) -> Result<ModelBundle> {
        ModelBundle::from_bytes(self.bundle)
    }

    /// Loads the bundle under the name it is known by, which must be the one in its signed manifest.
    ///
    /// # Errors
    /// As [`ModelBundle::from_bytes`], and [`Error::ModelInvalid`] for another name.
    pub fn load_as(&self, version: &str) -> Result<ModelBundle> {
        let bundle = self.load()?;
        let signed = &bundle.manifest.model_version;
        if signed != version {
            return Err(Error::ModelInvalid(format!("its signed manifest says {signed}, and not {version}")));
        }
        Ok(bundle)
    }
}

// === impl PrivateKey ===

impl PrivateKey {
    /// Makes a key from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`]; the text is not quoted.
    pub fn parse(text: &str) -> Result<Self> {
        let seed = hex::decode(text.trim().as_bytes());
        let seed = seed.ok_or_else(|| Error::KeyInvalid("a private key is 64 hexadecimal digits".into()))?;
        Ok(Self::from_seed(&seed))
    }

    /// The public half, in hexadecimal.
    #[must_use]
    pub fn public(&self) -> String {
        hex::encode(self.0.verifying_key().as_bytes())
    }

    /// Signs a compiled bundle.
    #[must_use]
    pub fn sign(&self, bundle: &[u8]) -> Vec<u8> {
        [self.seal(BUNDLE, bundle).as_slice(), bundle].concat()
    }

    /// Signs a review model's manifest. The signature is stored beside the manifest.
    #[must_use]
    pub fn sign_manifest(&self, manifest: &[u8]) -> Vec<u8> {
        self.seal(MANIFEST, manifest)
    }

    fn seal(&self, context: &[u8], bytes: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&[context, bytes].concat()).to_bytes();
        [MAGIC.as_slice(), &key_id(&self.0.verifying_key()), &signature].concat()
    }
}

/// The header in front of signed bytes.
struct Seal {
    key_id: [u8; KEY_ID_BYTES],
    signature: [u8; SIGNATURE_BYTES],
}

impl Seal {
    fn split(bytes: &[u8]) -> std::result::Result<(Self, &[u8]), &'static str> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("it is not signed in this format")?;
        let (key_id, rest) = rest.split_first_chunk().ok_or("cut short")?;
        let (signature, rest) = rest.split_first_chunk().ok_or("cut short")?;
        Ok((Self { key_id: *key_id, signature: *signature }, rest))
    }
}

fn invalid(file: &str, what: &str) -> Error {
    Error::ModelInvalid(format!("{file}: {what}"))
}

fn key_id(key: &VerifyingKey) -> [u8; KEY_ID_BYTES] {
    use sha2::{Digest, Sha256};
    *Sha256::digest(key.as_bytes()).first_chunk().expect("a digest is longer than a key id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn refusal(keys: &PublicKeys, signed: &[u8]) -> String {
        keys.verify(signed).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_a_trusted_key_signed_is_verified_and_nothing_else() {
        let signed = key(1).sign(b"bundle");
        let both = PublicKeys::parse(&format!("{}, {}", key(2).public(), key(1).public())).unwrap();
        assert_eq!(both.verify(&signed).unwrap().bundle, b"bundle");
        let other = PublicKeys::parse(&key(2).public()).unwrap();
        assert!(refusal(&other, &signed).contains("not trusted"));
        assert!(refusal(&PublicKeys::default(), &signed).contains("not trusted"));
        assert!(refusal(&both, b"SNTLFB04").contains("not signed in this format"));
        assert!(PublicKeys::parse("xyz").is_err() && PublicKeys::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_key_that_is_none_is_named_by_its_place_and_never_quoted() {
        let good = key(1).public();
        let private = format!("{}a private key", "07".repeat(20));
        let no_point = (0u8..=255).map(|last| format!("{}{last:02x}", "ff".repeat(31)));
        let no_point = no_point.into_iter().find(|text| PublicKeys::parse(text).is_err()).unwrap();
        for (wrong, problem) in [(private, "53 characters"), (no_point, "no Ed25519 public key")] {
            let error = PublicKeys::parse(&format!("{good}, {wrong}")).unwrap_err().to_string();
            assert!(error.contains("public key 2") && error.contains(problem), "{error}");
            assert!(!error.contains(&wrong[..8]), "{error}");
        }
    }

    #[test]
    fn a_manifests_signature_means_nothing_for_a_bundle_and_the_other_way_round() {
        let keys = PublicKeys::parse(&key(1).public()).unwrap();
        let signature = key(1).sign_manifest(b"{}");
        keys.verify_manifest(b"{}", &signature).unwrap();
        assert!(keys.verify_manifest(b"{ }", &signature).is_err());
        assert!(keys.verify_manifest(b"", &key(1).sign(b"")).is_err());
        assert!(refusal(&keys, &[signature.as_slice(), b"{}"].concat()).contains("does not fit"));
        assert!(keys.verify_manifest(b"{}", &[signature.as_slice(), b"x"].concat()).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_or_cut_byte_is_refused(at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
            let keys = PublicKeys::parse(&key(1).public()).unwrap();
            let signed = key(1).sign(b"a bundle of some bytes");
            let mut changed = signed.clone();
            changed[at.index(signed.len())] ^= flip;
            prop_assert!(keys.verify(&changed).is_err());
            prop_assert!(keys.verify(&signed[..cut.index(signed.len())]).is_err());
        }
    }
}
