//! gRPC messages: any bytes are decoded or refused, and an accepted job survives the way back.
//!
//! The first byte says which message the rest is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use sentinel_proto::v1;
use sentinel_shared::diff;
use sentinel_shared::review::ReviewJob;

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    match which % 3 {
        0 => {
            let Ok(request) = v1::SubmitReviewRequest::decode(bytes) else { return };
            let Some(Ok(job)) = request.job.map(ReviewJob::try_from) else { return };
            assert_eq!(ReviewJob::try_from(v1::ReviewJob::from(&job)).expect("it was taken before"), job);
        }
        1 => {
            if let Ok(request) = v1::ChunkRequest::decode(bytes) {
                let _ = diff::parse_patch(&request.patch);
            }
        }
        _ => {
            if let Ok(request) = v1::DiffRequest::decode(bytes) {
                let _ = diff::parse(&request.diff);
            }
        }
    }
});
