//! The wire between edge and node: `sentinel.review.v1`.
//!
//! Here: the messages, generated at build time by `protox` and `prost`. Not here yet: the service and the
//! conversions to `sentinel_shared` types, which arrive with the node that speaks them.

/// Messages of `sentinel/review/v1/review.proto`.
#[expect(missing_docs, clippy::all, reason = "generated; the .proto file documents each field")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/sentinel.review.v1.rs"));
}

#[cfg(test)]
mod tests {
    use super::v1::{Finding, ReviewJob, Severity};
    use prost::Message;

    #[test]
    fn a_job_and_a_finding_survive_the_wire() {
        let job = ReviewJob { id: "1".into(), repository: "o/r".into(), number: 7, ..ReviewJob::default() };
        assert_eq!(ReviewJob::decode(job.encode_to_vec().as_slice()).unwrap(), job);
        let finding = Finding { line: 12, severity: Severity::Bug.into(), ..Finding::default() };
        assert_eq!(Finding::decode(finding.encode_to_vec().as_slice()).unwrap().severity(), Severity::Bug);
    }
}
