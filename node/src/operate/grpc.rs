//! `sentinel.review.v1.ReviewService`: parses requests, hands them to the engine or the queue, and answers.

use crate::database::{Store, now};
use crate::operate::metrics::Metrics;
use crate::operate::readiness::Readiness;
use crate::review::batcher::WhenFull;
use crate::review::engine::Engine;
use futures_util::{Stream, StreamExt, stream};
use sentinel_proto::convert::status;
use sentinel_proto::v1::diff_response::Item;
use sentinel_proto::v1::review_service_server::ReviewService;
use sentinel_proto::v1::submit_review_response::Outcome;
use sentinel_proto::v1::{
    ChunkRequest, DiffRequest, DiffResponse, Finding as WireFinding, GetReviewRequest, Receipt, Review,
    ReviewJob as WireJob, ReviewResponse, SubmitReviewRequest, SubmitReviewResponse,
};
use sentinel_shared::access::Scope;
use sentinel_shared::diff;
use sentinel_shared::policy;
use sentinel_shared::review::plan::{ChangedFile, Plan, TOKENS_MAX};
use sentinel_shared::review::policy::{Policy, Speech};
use sentinel_shared::review::receipt::Skip;
use sentinel_shared::review::{Finding, ReviewJob, render};
use sentinel_shared::signature::Secret;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::{outbox, queue};
use sentinel_shared::{Error, Result};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// The largest message that is read. A GPU reviews a diff of this size in some seconds.
pub const MESSAGE_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// The deadline of a call that sets none.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
/// The longest deadline that a call may set.
const DEADLINE_MAX: Duration = Duration::from_secs(600);
/// The part of a caller's time that is kept for the answer, and at most a tenth of it. So the findings reach a caller
/// whose time is too short for the whole diff.
const ANSWERING_TIME: Duration = Duration::from_millis(250);

/// The error for a patch over [`TOKENS_MAX`].
const PATCH_TOO_LONG: Error = Error::ParameterInvalid {
    name: "patch",
    expected: "at most about 9,000 lines: send its hunks one by one",
};

/// The gRPC service of a node.
pub struct Service {
    /// The model that scores hunks.
    pub engine: Arc<Engine>,
    /// The database with the queue of jobs.
    pub store: Arc<Store>,
    /// Wakes a worker when there is a job.
    pub wake: Arc<Notify>,
    /// Whether the node takes work.
    pub readiness: Arc<Readiness>,
    /// The metrics that each call updates.
    pub metrics: Arc<Metrics>,
    /// The policy for callers who name the file. It is compiled once, because compiling takes longer than rejecting a
    /// call.
    pub everything: Policy,
}

/// Admits calls that send the token.
///
/// # Errors
/// `UNAUTHENTICATED`.
pub fn authorize(token: &Secret, request: Request<()>) -> std::result::Result<Request<()>, Status> {
    let bearer = request.metadata().get("authorization").map(|value| value.as_bytes());
    match bearer.and_then(|value| value.strip_prefix(b"Bearer ")) {
        Some(bearer) if token.matches(bearer) => Ok(request),
        _ => Err(Status::unauthenticated("a valid bearer token is required")),
    }
}

#[async_trait::async_trait]
impl ReviewService for Service {
    type ReviewDiffStream =
        Pin<Box<dyn Stream<Item = std::result::Result<DiffResponse, Status>> + Send + 'static>>;

    async fn review_chunk(
        &self,
        request: Request<ChunkRequest>,
    ) -> std::result::Result<Response<ReviewResponse>, Status> {
        self.observe("ReviewChunk", async {
            let deadline = deadline(&request);
            self.chunk(request.into_inner(), deadline).await
        })
        .await
    }

    async fn review_diff(
        &self,
        request: Request<DiffRequest>,
    ) -> std::result::Result<Response<Self::ReviewDiffStream>, Status> {
        self.observe("ReviewDiff", async {
            let deadline = deadline(&request);
            let DiffRequest { diff, policy: yaml } = request.into_inner();
            let policy = policy::review(&yaml)?;
            // What can be refused is refused before the stream begins.
            diff::parse(&diff)?;
            let engine = Arc::clone(&self.engine);
            // The review is the stream: when the caller cancels or its connection breaks, the stream is dropped, and the
            // review ends with it wherever it stands.
            let messages = async move { messages(&engine, &diff, &policy, before(deadline)).await };
            let stream = stream::once(messages).flat_map(|outcome| {
                let items = match outcome {
                    Ok(messages) => messages.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(status(&error))],
                };
                stream::iter(items)
            });
            Ok(Box::pin(stream) as Self::ReviewDiffStream)
        })
        .await
    }

    async fn submit_review(
        &self,
        request: Request<SubmitReviewRequest>,
    ) -> std::result::Result<Response<SubmitReviewResponse>, Status> {
        self.observe("SubmitReview", async {
            let job = request.into_inner().job.ok_or(Error::FieldMissing("job"))?;
            let job = ReviewJob::try_from(job)?;
            if !self.readiness.takes_work() {
                let outcome = Outcome::Overloaded.into();
                return Ok(SubmitReviewResponse { outcome, status: "queued".to_owned() });
            }
            // At the edge's database the job is there already, and its kind stays.
            let queued = self.store.ask(outbox::enqueue(JobKind::Review, &job, now())).await?;
            let (outcome, status) = match queued {
                Some(JobStatus::Queued) => (Outcome::Accepted, JobStatus::Queued),
                Some(JobStatus::Running) => (Outcome::Duplicate, JobStatus::Running),
                Some(other) => (Outcome::Duplicate, other),
                None => (Outcome::Duplicate, JobStatus::Skipped),
            };
            // A running job may be one whose node is gone.
            self.wake.notify_one();
            Ok(SubmitReviewResponse { outcome: outcome.into(), status: status.label().to_owned() })
        })
        .await
    }

    async fn get_review(
        &self,
        request: Request<GetReviewRequest>,
    ) -> std::result::Result<Response<Review>, Status> {
        self.observe("GetReview", async {
            let row = self.store.ask(queue::by_key(Scope::All, &request.into_inner().id)).await?;
            Ok(Review {
                job: Some(WireJob {
                    id: row.key,
                    repository: row.repository,
                    number: u64::try_from(row.number).unwrap_or_default(),
                    head_sha: row.head_sha.unwrap_or_default(),
                    ..WireJob::default()
                }),
                status: row.status.label().to_owned(),
                attempts: u32::try_from(row.attempts).unwrap_or_default(),
                review_url: row.review_url.unwrap_or_default(),
                error: row.error.unwrap_or_default(),
                findings: row
                    .result
                    .iter()
                    .flat_map(|result| &result.findings)
                    .map(WireFinding::from)
                    .collect(),
            })
        })
        .await
    }
}

impl Service {
    async fn chunk(&self, request: ChunkRequest, deadline: Instant) -> Result<ReviewResponse> {
        let finding = self.strongest(&request.filename, &request.patch, deadline).await?;
        Ok(ReviewResponse {
            repo: request.repo,
            commit: request.commit,
            filename: request.filename,
            line: i32::try_from(finding.line).unwrap_or(i32::MAX),
            severity: finding.severity.label().to_owned(),
            severity_id: finding.severity as i32,
            category: finding.category.label().to_owned(),
            message: render::message(&finding, Speech::En),
            confidence: finding.confidence,
            idempotency_key: request.idempotency_key,
            received_at: request.received_at,
        })
    }

    /// The strongest finding of one patch, whether or not it passes a threshold. The caller sees its confidence.
    async fn strongest(&self, filename: &str, patch: &str, deadline: Instant) -> Result<Finding> {
        // A caller who names a file wants it reviewed, whatever its folder is called.
        let plan = Plan::new(
            vec![ChangedFile::of_github(filename, "modified", 1, Some(patch))],
            0,
            &self.everything,
        );
        if plan.hunks.is_empty() {
            diff::parse_patch(patch)?;
            let expected = "hunks that add lines, in a file of a language the model has learned";
            return Err(Error::ParameterInvalid { name: "patch", expected });
        }
        // Final, and said at once: it would not fit an idle node either.
        let tokens = plan.estimated_tokens();
        if tokens > TOKENS_MAX {
            return Err(PATCH_TOO_LONG);
        }
        let caller = self.engine.batcher.enter(tokens, WhenFull::Refuse, Some(deadline))?;
        let mut strongest: Option<Finding> = None;
        for outcome in self.engine.outcomes(&plan, &caller).await? {
            match outcome.skipped {
                None => {}
                Some(Skip::TooMuchText) => return Err(PATCH_TOO_LONG),
                Some(_) => return Err(Error::DeadlineExceeded),
            }
            for finding in outcome.findings {
                if strongest.as_ref().is_none_or(|best| finding.confidence > best.confidence) {
                    strongest = Some(finding);
                }
            }
        }
        let expected = "at least one added line that says something";
        strongest.ok_or(Error::ParameterInvalid { name: "patch", expected })
    }

    /// Counts and times a call, and turns its error into a status.
    async fn observe<T>(
        &self,
        method: &str,
        call: impl Future<Output = Result<T>>,
    ) -> std::result::Result<Response<T>, Status> {
        let timer = self.metrics.grpc_latency.with_label_values(&[method]).start_timer();
        let outcome = call.await;
        timer.observe_duration();
        let code = outcome.as_ref().map_or_else(|error| error.code().label(), |_| "ok");
        self.metrics.grpc_calls.with_label_values(&[method, code]).inc();
        outcome.map(Response::new).map_err(|error| status(&error))
    }
}

/// The findings of a diff, the most urgent first, and then the receipt.
async fn messages(
    engine: &Engine,
    text: &str,
    policy: &Policy,
    deadline: Instant,
) -> Result<Vec<DiffResponse>> {
    let files = diff::parse(text)?;
    let plan = Plan::new(files.iter().map(ChangedFile::of_diff).collect(), 0, policy);
    let result = engine.review("", &plan, policy, &BTreeSet::new(), deadline).await?;
    let withheld = result.withheld.iter().map(|(reason, count)| (reason.label().to_owned(), *count));
    let receipt = Receipt {
        model_version: result.model_version,
        input_sha256: result.input_sha256,
        withheld: withheld.collect(),
        ..Receipt::from(&result.receipt)
    };
    let findings = result.findings.iter().map(|finding| Item::Finding(WireFinding::from(finding)));
    let items = findings.chain([Item::Receipt(receipt)]);
    Ok(items.map(|item| DiffResponse { item: Some(item) }).collect())
}

/// The time at which the caller stops waiting
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>).
fn deadline<T>(request: &Request<T>) -> Instant {
    let timeout = request.metadata().get("grpc-timeout").and_then(|value| timeout_of(value.to_str().ok()?));
    Instant::now() + timeout.unwrap_or(DEADLINE_DEFAULT).min(DEADLINE_MAX)
}

/// The time at which the work for such a caller ends.
fn before(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + left.saturating_sub((left / 10).min(ANSWERING_TIME))
}

fn timeout_of(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        assert_eq!(timeout_of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout_of("5S"), Some(Duration::from_secs(5)));
        assert_eq!(timeout_of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "S", "999999999S", "5x", "-5S", "5é"] {
            assert_eq!(timeout_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_exact_token_passes() {
        let token = Secret::new("the node's token").unwrap();
        let call = |header: Option<&'static str>| {
            let mut request = Request::new(());
            if let Some(header) = header {
                request.metadata_mut().insert("authorization", header.parse().unwrap());
            }
            authorize(&token, request).is_ok()
        };
        assert!(call(Some("Bearer the node's token")));
        assert!(!call(Some("Bearer the node's token ")) && !call(Some("Bearer ")) && !call(None));
    }
}
