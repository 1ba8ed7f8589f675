//! Models: any bytes load only if they were signed and every walk in the forest ends.
//!
//! The first byte says what the rest is: a forest, the body of a compiled bundle (its digest is added, so that a change
//! gets past it), or bytes under a valid signature.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::artifact::signed::{PrivateKey, PublicKeys};
use sentinel_shared::classifier::Forest;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"SNTLFB04";

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    match which % 4 {
        0 => {
            let Ok(forest) = Forest::from_bytes(bytes) else { return };
            assert_eq!(forest.to_bytes(), bytes, "what is read is all there is");
            for value in [f32::NAN, f32::NEG_INFINITY, 0.0, f32::INFINITY] {
                forest.score(&vec![value; forest.features()], &mut Vec::new());
            }
        }
        1 => {
            let _ = ModelBundle::from_bytes(&[MAGIC.as_slice(), bytes, &Sha256::digest(bytes)].concat());
        }
        2 => {
            let key = PrivateKey::from_seed(&[7; 32]);
            let keys = PublicKeys::parse(&key.public()).expect("its own key");
            let signed = key.sign(bytes);
            keys.verify(&signed).expect("signed just now");
            let mut changed = signed;
            let at = bytes.first().map_or(0, |byte| usize::from(*byte)) % changed.len();
            changed[at] ^= 1;
            assert!(keys.verify(&changed).is_err(), "a changed byte at {at} is noticed");
        }
        _ => {
            let key = PrivateKey::from_seed(&[7; 32]);
            let keys = PublicKeys::parse(&key.public()).expect("its own key");
            assert!(keys.verify(bytes).is_err(), "nobody guesses a signature");
        }
    }
});
