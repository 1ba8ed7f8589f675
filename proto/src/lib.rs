//! The wire types between edge, node and other programs: `sentinel.review.v1`.
//!
//! Messages, client and server are generated at build time by `protox` and `tonic-prost-build`. [`convert`] maps them
//! to the types of `sentinel_shared`. There is no transport here: the edge uses fetch, the node HTTP/2.

pub mod convert;

/// The generated types of `sentinel/review/v1/review.proto`.
#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto file documents each field"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/sentinel.review.v1.rs"));
}

/// The encoded `FileDescriptorSet`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
