//! Everything that can go wrong, as one enum of facts, and its meaning in each protocol.
//!
//! `Display` is the text for the caller. Text for the operator (a cause, an upstream body) is logged by the shell that
//! saw it and never becomes part of an [`Error`].

/// The result of anything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, as a fact a caller may know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting this endpoint needs is not set, or says what can't be followed; the endpoint stays closed.
    #[error("{0} is not set, or not usable, so this endpoint is closed")]
    NotConfigured(&'static str),
    /// The `X-Hub-Signature-256` header is missing.
    #[error("the X-Hub-Signature-256 header is missing")]
    SignatureMissing,
    /// The signature header is not `sha256=` and 64 hexadecimal digits.
    #[error("the X-Hub-Signature-256 header is not sha256= followed by 64 hexadecimal digits")]
    SignatureMalformed,
    /// The signature belongs to another body or another secret.
    #[error("the signature does not match the body")]
    SignatureMismatch,
    /// No usable `X-API-Key`, or the wrong one.
    #[error("a valid X-API-Key header is required")]
    ApiKeyRejected,
    /// A browser's session that is not known, or not any more.
    #[error("the session is over; sign in again")]
    SessionOver,
    /// A change asked for by another site's page, in the name of who is signed in here.
    #[error("a change must come from a page of this address")]
    CrossSite,
    /// A key that may only read.
    #[error("this key may only read; ask for an admin key")]
    RoleTooLow,
    /// A key of one installation, for what is about all.
    #[error("this is about every installation; it needs the operator's key")]
    OperatorOnly,
    /// More bytes than the endpoint reads.
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The cap that was exceeded.
        limit_bytes: usize,
    },
    /// Neither JSON nor a form with a `payload` field.
    #[error("the content type must be application/json or application/x-www-form-urlencoded")]
    ContentTypeUnsupported,
    /// A required header is absent or not plain ASCII.
    #[error("the {0} header is missing or unreadable")]
    HeaderMissing(&'static str),
    /// The bytes are not the JSON that was expected; says where.
    #[error("the body is not the JSON expected here: {0}")]
    JsonInvalid(String),
    /// The body ended before it was whole.
    #[error("the body broke off before its end")]
    BodyIncomplete,
    /// The JSON lacks a field this event always has.
    #[error("the payload has no {0}")]
    FieldMissing(&'static str),
    /// The query lacks a parameter that this call needs.
    #[error("the query has no {0}")]
    ParameterMissing(&'static str),
    /// A parameter is outside its documented range.
    #[error("{name} must be {expected}")]
    ParameterInvalid {
        /// The name of the query parameter.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Too many requests from one installation, repository or key.
    #[error("too many requests; retry in {retry_after_seconds} s")]
    RateLimited {
        /// Seconds until the window ends.
        retry_after_seconds: u32,
    },
    /// Nothing is served under this path.
    #[error("there is nothing at this address")]
    NotFound,
    /// A key of one installation, and a repository of which that installation told nothing.
    #[error(
        "this key's installation has told of no run of the repository; check its name, and send the report again after the \
         App told of a first run"
    )]
    RepositoryUnknown,
    /// The content type of a report.
    #[error("the content type must be application/xml or text/xml: send the report as its runner wrote it")]
    ReportTypeUnsupported,
    /// The store can't be reached or is not answering.
    #[error("the store is unavailable; nothing was lost, deliver again")]
    StoreUnavailable,
    /// The store answered that it can't do what was asked.
    #[error("the store refused the statement")]
    StoreRejected,
    /// The store answered with rows of another shape.
    #[error("the store answered with an unexpected shape: {0}")]
    StoreShape(&'static str),
    /// GitHub's API did not give what was asked.
    #[error("GitHub did not answer: {0}")]
    GithubUnavailable(&'static str),
    /// The model or its manifest does not check out.
    #[error("the model bundle is not usable: {0}")]
    ModelInvalid(String),
    /// What is given as a key that signs models, or checks who signed one, is none.
    #[error("{0}")]
    KeyInvalid(String),
    /// A diff that can't be read; says where.
    #[error("line {line} of the diff: {reason}")]
    DiffInvalid {
        /// The line of the input, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A report of tests that can't be read; says where and what to do.
    #[error("line {line} of the report: {reason}")]
    ReportInvalid {
        /// The line of the body, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// `.github/sentinel.yml` says something that can't be followed.
    #[error("the policy is not usable: {0}")]
    PolicyInvalid(String),
    /// A known issue that can't be kept; says why.
    #[error("the known issue is not kept: {0}")]
    KnownRefused(String),
    /// The node has as much work as it can finish in time.
    #[error("too much work is waiting; try again in {retry_after_seconds} s")]
    Overloaded {
        /// Seconds until it is worth trying.
        retry_after_seconds: u32,
    },
    /// The caller's time was over before the work was done.
    #[error("the deadline passed before the work was done")]
    DeadlineExceeded,
    /// The model's runtime failed on a batch.
    #[error("the model could not be run")]
    BackendFailed,
    /// An uploaded or promoted bundle does not check out; what serves goes on serving.
    #[error("{0}; the model in use goes on serving")]
    BundleRefused(String),
    /// What this side does by itself did not work: random bytes, an answer that can't be built.
    #[error("this service failed: {0}")]
    Internal(&'static str),
}

/// The protocol-independent meaning of an [`Error`]; its label is a metric label, so it carries no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller sent something that can't be understood.
    InvalidArgument,
    /// The caller has not proven who it is.
    Unauthenticated,
    /// The caller has no right to this.
    PermissionDenied,
    /// Over a size cap.
    TooLarge,
    /// A media type that is not accepted.
    UnsupportedMediaType,
    /// Understood JSON that lacks what the event needs.
    Unprocessable,
    /// The caller is over a rate limit.
    ResourceExhausted,
    /// The thing that was asked for does not exist.
    NotFound,
    /// The caller's time is over.
    DeadlineExceeded,
    /// Something this service depends on is away; try again.
    Unavailable,
    /// A defect on this side.
    Internal,
}

// === impl Error ===

impl Error {
    /// The meaning of this fact, independent of protocol.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::SignatureMissing
            | Self::SignatureMalformed
            | Self::SignatureMismatch
            | Self::SessionOver => Code::Unauthenticated,
            // 403 rather than 401, because clients of the first API expect this name and status.
            Self::ApiKeyRejected | Self::CrossSite | Self::RoleTooLow | Self::OperatorOnly => {
                Code::PermissionDenied
            }
            Self::BodyTooLarge { .. } => Code::TooLarge,
            Self::ContentTypeUnsupported | Self::ReportTypeUnsupported => Code::UnsupportedMediaType,
            Self::BodyIncomplete
            | Self::HeaderMissing(_)
            | Self::JsonInvalid(_)
            | Self::KeyInvalid(_)
            | Self::ParameterInvalid { .. }
            | Self::ParameterMissing(_)
            | Self::DiffInvalid { .. } => Code::InvalidArgument,
            Self::FieldMissing(_)
            | Self::BundleRefused(_)
            | Self::PolicyInvalid(_)
            | Self::KnownRefused(_)
            | Self::ReportInvalid { .. } => Code::Unprocessable,
            Self::RateLimited { .. } | Self::Overloaded { .. } => Code::ResourceExhausted,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::NotFound | Self::RepositoryUnknown => Code::NotFound,
            Self::NotConfigured(_) | Self::StoreUnavailable | Self::GithubUnavailable(_) => Code::Unavailable,
            Self::StoreRejected
            | Self::StoreShape(_)
            | Self::ModelInvalid(_)
            | Self::BackendFailed
            | Self::Internal(_) => Code::Internal,
        }
    }
}

// === impl Code ===

impl Code {
    /// Every code, for tables and metrics.
    pub const ALL: [Self; 11] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::ResourceExhausted,
        Self::NotFound,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The HTTP status (RFC 9110).
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Unprocessable => 422,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The gRPC status code (<https://grpc.io/docs/guides/status-codes/>).
    #[must_use]
    pub fn grpc_code(self) -> i32 {
        match self {
            Self::InvalidArgument | Self::UnsupportedMediaType | Self::Unprocessable => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted | Self::TooLarge => 8,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// A short, stable name for metrics and the `code` member of a problem document.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::ResourceExhausted => "resource_exhausted",
            Self::NotFound => "not_found",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_http_status_one_grpc_code_and_one_label() {
        let table: Vec<_> = Code::ALL.iter().map(|c| (c.label(), c.http_status(), c.grpc_code())).collect();
        assert_eq!(
            table,
            [
                ("invalid_argument", 400, 3),
                ("unauthenticated", 401, 16),
                ("permission_denied", 403, 7),
                ("too_large", 413, 8),
                ("unsupported_media_type", 415, 3),
                ("unprocessable", 422, 3),
                ("resource_exhausted", 429, 8),
                ("not_found", 404, 5),
                ("deadline_exceeded", 504, 4),
                ("unavailable", 503, 14),
                ("internal", 500, 13),
            ]
        );
    }

    #[test]
    fn a_missing_setting_is_unavailable_and_never_open() {
        assert_eq!(Error::NotConfigured("SENTINEL_WEBHOOK_SECRET").code().http_status(), 503);
    }

    #[test]
    fn what_the_caller_left_out_and_what_failed_on_this_side_are_told_apart() {
        for (error, status, told) in [
            (Error::ParameterMissing("version"), 400, "the query has no version"),
            (Error::FieldMissing("version"), 422, "the payload has no version"),
            (Error::BodyIncomplete, 400, "the body broke off before its end"),
            (
                Error::NotConfigured("TURSO_DATABASE_URL"),
                503,
                "TURSO_DATABASE_URL is not set, or not usable, so this endpoint is closed",
            ),
            (
                Error::Internal("there are no random bytes"),
                500,
                "this service failed: there are no random bytes",
            ),
        ] {
            assert_eq!((error.code().http_status(), error.to_string().as_str()), (status, told));
        }
    }
}
