//! scikit-learn's `FeatureHasher(n_features=256, input_type="dict", alternate_sign=True)` over `{"repository",
//! "author"}`.

/// The number of columns of the hash.
pub const HASH_WIDTH: usize = 256;

pub(super) fn transform(repository: &str, author: &str, columns: &mut [f32]) {
    for token in [format!("repository={repository}"), format!("author={author}")] {
        let hash = murmur3_32(token.as_bytes(), 0) as i32;
        let column = hash.unsigned_abs() as usize % HASH_WIDTH;
        columns[column] += if hash >= 0 { 1.0 } else { -1.0 };
    }
}

/// MurmurHash3_x86_32 (Austin Appleby, public domain), the hash scikit-learn uses.
#[must_use]
pub fn murmur3_32(bytes: &[u8], seed: u32) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let scramble = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = seed;
    for block in blocks {
        hash ^= scramble(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let rest = tail.iter().rev().fold(0u32, |rest, byte| (rest << 8) | u32::from(*byte));
    if !tail.is_empty() {
        hash ^= scramble(rest);
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur3_gives_the_published_values() {
        assert_eq!(murmur3_32(b"", 0), 0);
        assert_eq!(murmur3_32(b"", 1), 0x514e_28b7);
        assert_eq!(murmur3_32(b"test", 0), 0xba6b_d213);
        assert_eq!(murmur3_32(b"Hello, world!", 0), 0xc036_3e43);
        assert_eq!(murmur3_32(b"The quick brown fox jumps over the lazy dog", 0), 0x2e4f_f723);
    }
}
