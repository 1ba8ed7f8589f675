//! The wire between edge, node and programs: `sentinel.review.v1`.
//!
//! Here: messages, client and server, generated at build time by `protox` and `tonic-prost-build`, and what the
//! messages mean in `sentinel_shared`'s types ([`convert`]). Not here: a transport. The edge brings fetch, the
//! node brings HTTP/2.

pub mod convert;

/// `sentinel/review/v1/review.proto`.
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
