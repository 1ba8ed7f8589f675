//! Converts between messages and the types of `sentinel_shared`. No other file knows both.

use crate::v1;
use sentinel_shared::github::{CommitSha, RepositoryName};
use sentinel_shared::review::policy::Speech;
use sentinel_shared::review::receipt::Receipt;
use sentinel_shared::review::{Finding, ReviewJob, Severity, render};
use sentinel_shared::{Code, Error};

impl From<&ReviewJob> for v1::ReviewJob {
    fn from(job: &ReviewJob) -> Self {
        Self {
            id: job.key.clone(),
            repository: job.repository.clone(),
            number: job.number,
            base_sha: job.base_sha.clone().unwrap_or_default(),
            head_sha: job.head_sha.clone().unwrap_or_default(),
            installation_id: job.installation_id.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::ReviewJob> for ReviewJob {
    type Error = Error;

    fn try_from(job: v1::ReviewJob) -> Result<Self, Error> {
        if job.id.is_empty() {
            return Err(Error::FieldMissing("job.id"));
        }
        let repository = RepositoryName::parse(&job.repository)?.into();
        let commit = |sha: &str| match sha {
            "" => Ok(None),
            sha => CommitSha::parse(sha).map(|sha| Some(sha.into())),
        };
        Ok(Self {
            key: job.id,
            repository,
            number: job.number,
            base_sha: commit(&job.base_sha)?,
            head_sha: commit(&job.head_sha)?,
            installation_id: Some(job.installation_id).filter(|id| *id > 0),
        })
    }
}

impl From<Severity> for v1::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Nit => Self::Nit,
            Severity::Suggestion => Self::Suggestion,
            Severity::Bug => Self::Bug,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            path: finding.path.clone(),
            line: finding.line,
            severity: v1::Severity::from(finding.severity).into(),
            category: finding.category.label().to_owned(),
            message: render::message(finding, Speech::En),
            confidence: finding.confidence,
            text: finding.text.clone(),
        }
    }
}

impl From<&Receipt> for v1::Receipt {
    fn from(receipt: &Receipt) -> Self {
        Self {
            files_seen: receipt.files_seen,
            files_reviewed: receipt.files_reviewed,
            hunks_seen: receipt.hunks_seen,
            hunks_reviewed: receipt.hunks_reviewed,
            files_skipped: receipt
                .files_skipped
                .iter()
                .map(|(why, n)| (why.label().to_owned(), *n))
                .collect(),
            hunks_skipped: receipt
                .hunks_skipped
                .iter()
                .map(|(why, n)| (why.label().to_owned(), *n))
                .collect(),
            lines_added: receipt.lines_added,
            ..Self::default()
        }
    }
}

/// Turns an error into a gRPC status. [`Code`] gives the status code, and the text is the one for callers.
#[must_use]
pub fn status(error: &Error) -> tonic::Status {
    let mut status = tonic::Status::new(error.code().grpc_code().into(), error.to_string());
    if let (Code::ResourceExhausted, Error::Overloaded { retry_after_seconds }) = (error.code(), error) {
        // As tonic and Envoy read it: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
        let pushback = (u64::from(*retry_after_seconds) * 1000).to_string();
        if let Ok(value) = pushback.parse() {
            status.metadata_mut().insert("grpc-retry-pushback-ms", value);
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn a_job_survives_the_wire_and_absent_stays_absent() {
        let job = ReviewJob {
            key: "o/r#7@comment-1".into(),
            repository: "o/r".into(),
            number: 7,
            base_sha: None,
            head_sha: None,
            installation_id: Some(3),
        };
        let bytes = v1::ReviewJob::from(&job).encode_to_vec();
        assert_eq!(ReviewJob::try_from(v1::ReviewJob::decode(bytes.as_slice()).unwrap()).unwrap(), job);
    }

    #[test]
    fn a_job_without_key_or_repository_is_refused() {
        let job = v1::ReviewJob { id: "x".into(), repository: "o".into(), ..v1::ReviewJob::default() };
        assert!(ReviewJob::try_from(job).is_err());
        assert!(ReviewJob::try_from(v1::ReviewJob::default()).is_err());
        let elsewhere =
            v1::ReviewJob { id: "x".into(), repository: "../user".into(), ..v1::ReviewJob::default() };
        assert!(ReviewJob::try_from(elsewhere).is_err());
        let no_commit = v1::ReviewJob {
            id: "x".into(),
            repository: "o/r".into(),
            head_sha: "../../user".into(),
            ..v1::ReviewJob::default()
        };
        assert!(ReviewJob::try_from(no_commit).is_err());
    }

    #[test]
    fn an_overloaded_node_says_when_to_come_back() {
        let status = status(&Error::Overloaded { retry_after_seconds: 2 });
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "2000");
    }
}
