//! Turns a plan into findings: encodes hunks, runs the model, chooses what is shown. The command line, the gRPC service
//! and the reviewer share it.

use crate::operate::metrics::Metrics;
use crate::review::backend::Sequence;
use crate::review::backend::ort::{BackendOptions, Pool, Provider};
use crate::review::batcher::{Batcher, Caller, Limits, WhenFull};
use crate::review::model::{ReviewManifest, ReviewModel};
use crate::review::tokenizer::Encoder;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use sentinel_shared::diff::Hunk;
use sentinel_shared::review::plan::{Plan, Planned, TOKENS_MAX};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::receipt::Skip;
use sentinel_shared::review::select::{self, select};
use sentinel_shared::review::{Finding, certain};
use sentinel_shared::store::jobs::ReviewResult;
use sentinel_shared::{Error, Result, hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The number of pieces of one review in the queue at once: enough to fill batches, and few enough to leave room for
/// others.
const IN_FLIGHT: usize = 16;

/// A loaded model with its queue.
pub struct Engine {
    /// The model's version, calibration and thresholds.
    pub manifest: ReviewManifest,
    /// The hardware that runs the model.
    pub provider: Provider,
    /// The queue in front of the model.
    pub batcher: Batcher,
    encoder: Encoder,
    metrics: Arc<Metrics>,
}

/// The result of one planned hunk.
#[derive(Default)]
pub struct HunkOutcome {
    /// All findings, whether or not they will be shown.
    pub findings: Vec<Finding>,
    /// The reason why the hunk was not read whole, if it was not.
    pub skipped: Option<Skip>,
}

impl Engine {
    /// Loads the model and starts its queue; needs a tokio runtime.
    ///
    /// # Errors
    /// A model or a runtime that does not load.
    pub fn start(
        model: &ReviewModel,
        options: &BackendOptions,
        limits: impl FnOnce(Provider) -> Limits,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        // Beside each other: a node that starts fast is a node that scales.
        let (encoder, pool) = std::thread::scope(|scope| {
            let encoder = scope.spawn(|| Encoder::new(model));
            let pool = Pool::load(model, options);
            (encoder.join().unwrap_or_else(|panic| resume_unwind(panic)), pool)
        });
        Ok(Self::of(model, encoder?, pool?, limits, metrics))
    }

    /// Starts an engine on existing sessions; needs a tokio runtime.
    ///
    /// # Errors
    /// A tokenizer that does not load.
    pub fn on(
        model: &ReviewModel,
        pool: Pool,
        limits: impl FnOnce(Provider) -> Limits,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        Ok(Self::of(model, Encoder::new(model)?, pool, limits, metrics))
    }

    fn of(
        model: &ReviewModel,
        encoder: Encoder,
        pool: Pool,
        limits: impl FnOnce(Provider) -> Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let labels = [model.manifest.model_version.as_str(), pool.provider.label()];
        metrics.model_info.with_label_values(&labels).set(1);
        let limits = limits(pool.provider);
        Self {
            manifest: model.manifest.clone(),
            provider: pool.provider,
            batcher: Batcher::start(pool.sessions, pool.another, limits, Arc::clone(&metrics)),
            encoder,
            metrics,
        }
    }

    /// Starts an engine for the reviews of one person. Batches do not wait to fill up, nothing is rejected, and nothing
    /// is counted.
    ///
    /// # Errors
    /// As [`Self::start`] and [`ReviewModel::load`].
    pub fn alone(model: Option<&Path>, options: &BackendOptions) -> anyhow::Result<Self> {
        let limits = Limits { batch_tokens: 2048, max_wait: Duration::ZERO, queue_tokens: 1 << 20 };
        Self::start(&ReviewModel::load(model)?, options, |_| limits, Arc::new(Metrics::default()))
    }

    /// Reads `plan` piece by piece, up to [`TOKENS_MAX`] and the caller's deadline. The outcomes are in the plan's
    /// order. Dropping the future ends all of it.
    ///
    /// # Errors
    /// [`Error::BackendFailed`].
    pub async fn outcomes(&self, plan: &Plan<'_>, caller: &Caller) -> Result<Vec<HunkOutcome>> {
        let mut outcomes: Vec<HunkOutcome> = plan.hunks.iter().map(|_| HunkOutcome::default()).collect();
        let mut scoring = FuturesOrdered::new();
        let mut left = TOKENS_MAX;
        let ended = |left: usize| match left {
            _ if caller.is_late() => Some(Skip::OutOfTime),
            0 => Some(Skip::TooMuchText),
            _ => None,
        };
        for at in plan.reading_order() {
            outcomes[at].skipped = ended(left);
            if outcomes[at].skipped.is_some() {
                continue;
            }
            let planned = &plan.hunks[at];
            for (piece, encoded) in self.encoder.pieces(planned.path, planned.language, &planned.hunk) {
                outcomes[at].skipped = ended(left);
                if outcomes[at].skipped.is_some() {
                    break;
                }
                left = left.saturating_sub(encoded.ids.len());
                outcomes[at].findings.extend(certain::findings(planned.path, planned.language, &piece));
                // A piece of context only has no line to comment on.
                if encoded.added_at.is_empty() {
                    tokio::task::yield_now().await;
                    continue;
                }
                if scoring.len() == IN_FLIGHT
                    && let Some(scored) = scoring.next().await
                {
                    record(&mut outcomes, scored)?;
                }
                scoring.push_back(async move { (at, self.score(planned, &piece, encoded, caller).await) });
            }
        }
        while let Some(scored) = scoring.next().await {
            record(&mut outcomes, scored)?;
        }
        Ok(outcomes)
    }

    /// Reviews the whole plan and chooses what is shown. Dropping the future ends all of it.
    ///
    /// # Errors
    /// [`Error::BackendFailed`].
    pub async fn review(
        &self,
        head_sha: &str,
        plan: &Plan<'_>,
        policy: &Policy,
        said: &BTreeSet<String>,
        deadline: Instant,
    ) -> Result<ReviewResult> {
        let caller = self.batcher.enter(plan.estimated_tokens(), WhenFull::Wait, Some(deadline))?;
        let outcomes = self.outcomes(plan, &caller).await?;
        drop(caller);
        let skipped: Vec<Option<Skip>> = outcomes.iter().map(|outcome| outcome.skipped).collect();
        let findings = outcomes.into_iter().flat_map(|outcome| outcome.findings).collect();
        let selection = select(findings, policy, &self.manifest.thresholds, said);
        let receipt = plan.receipt(&skipped);
        self.metrics.hunks.with_label_values(&["reviewed"]).inc_by(u64::from(receipt.hunks_reviewed));
        for (reason, count) in &receipt.hunks_skipped {
            self.metrics.hunks.with_label_values(&[reason.label()]).inc_by(u64::from(*count));
        }
        for (reason, count) in &selection.withheld {
            self.metrics.withheld.with_label_values(&[reason.label()]).inc_by(u64::from(*count));
        }
        Ok(ReviewResult {
            head_sha: head_sha.to_owned(),
            findings: selection.shown,
            withheld: selection.withheld,
            receipt,
            model_version: self.manifest.model_version.clone(),
            input_sha256: digest(plan, &skipped),
        })
    }

    /// Scores one piece and returns the model's finding in it.
    async fn score(
        &self,
        planned: &Planned<'_>,
        piece: &Hunk<'_>,
        encoded: Sequence,
        caller: &Caller,
    ) -> Result<Option<Finding>> {
        let score = caller.run(encoded.into()).await?.score(self.manifest.calibration);
        Ok(select::finding_of(planned.path, piece, &score))
    }
}

/// Adds the result of one piece to its hunk.
fn record(outcomes: &mut [HunkOutcome], (at, scored): (usize, Result<Option<Finding>>)) -> Result<()> {
    match scored {
        Ok(finding) => outcomes[at].findings.extend(finding),
        Err(Error::DeadlineExceeded) => outcomes[at].skipped = Some(Skip::OutOfTime),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The SHA-256 of every path and hunk that was read whole, in hexadecimal.
fn digest(plan: &Plan<'_>, skipped: &[Option<Skip>]) -> String {
    let mut hash = Sha256::new();
    for (planned, _) in plan.hunks.iter().zip(skipped).filter(|(_, skipped)| skipped.is_none()) {
        hash.update(planned.path.as_bytes());
        hash.update([0]);
        hash.update(planned.hunk.to_string().as_bytes());
    }
    hex::encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::backend::{Backend, Batch, Logits};
    use sentinel_shared::review::plan::ChangedFile;

    /// A backend that wants a comment on the first added line of everything.
    struct Complains;

    impl Backend for Complains {
        fn run(&mut self, batch: &Batch) -> anyhow::Result<Vec<Logits>> {
            let complaint = |row: &Arc<Sequence>| Logits {
                needs_comment: 9.0,
                severity: [0.0, 0.0, 9.0, 0.0],
                category: [0.0; 12],
                lines: (0..row.added_at.len()).map(|at| -(at as f32)).collect(),
            };
            Ok(batch.rows.iter().map(complaint).collect())
        }
    }

    /// The size of the queue. The larger hunks of these tests have more tokens.
    const QUEUE_TOKENS: usize = 16_384;

    fn engine() -> Engine {
        let pool = Pool {
            sessions: vec![Box::new(Complains)],
            another: Arc::new(|| Ok(Box::new(Complains))),
            provider: Provider::Cpu,
        };
        let limits = Limits { batch_tokens: 1024, max_wait: Duration::ZERO, queue_tokens: QUEUE_TOKENS };
        let model = ReviewModel::embedded().expect("the embedded model");
        Engine::on(&model, pool, |_| limits, Arc::new(Metrics::default())).expect("it starts")
    }

    fn new_file(lines: usize) -> String {
        let body: String = (0..lines).map(|at| format!("+let x = {at};\n")).collect();
        format!("@@ -0,0 +1,{lines} @@\n{body}")
    }

    fn plan<'a>(patches: &'a [(&'a str, String)]) -> Plan<'a> {
        let files = patches.iter().map(|(path, patch)| ChangedFile::of_github(path, "added", 1, Some(patch)));
        Plan::new(files.collect(), 0, &Policy::default())
    }

    async fn review(engine: &Engine, plan: &Plan<'_>, time: Duration) -> ReviewResult {
        let policy = sentinel_shared::policy::review("review: {max_comments: 20}").expect("a policy");
        let said = BTreeSet::new();
        let review = engine.review("head", plan, &policy, &said, Instant::now() + time);
        // Longer than any deadline of these tests, and not for ever.
        tokio::time::timeout(Duration::from_secs(60), review).await.expect("it ends").expect("a result")
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_hunk_that_is_more_than_the_queue_holds_is_read_whole_and_is_no_pressure() {
        let engine = engine();
        let patches = [("a.rs", new_file(9000))];
        let plan = plan(&patches);
        assert!(plan.estimated_tokens() > 2 * QUEUE_TOKENS);
        let result = review(&engine, &plan, HOUR).await;
        assert_eq!((result.receipt.hunks_reviewed, result.receipt.is_partial()), (1, false));
        assert_eq!(result.receipt.lines_added, 9000);
        assert!(!engine.batcher.refused_within(HOUR) && engine.batcher.pressure() == 0.0);
    }

    #[tokio::test]
    async fn a_review_reads_so_much_and_no_more_the_smallest_first_and_says_what_it_left() {
        let engine = engine();
        let mut patches = vec![("first.rs", new_file(60_000))];
        patches.extend(["a.rs", "b.rs", "c.rs"].map(|path| (path, new_file(10))));
        patches.push(("second.rs", new_file(60_001)));
        let plan = plan(&patches);
        let result = review(&engine, &plan, HOUR).await;
        let receipt = &result.receipt;
        assert!(receipt.is_balanced() && receipt.is_partial());
        assert_eq!((receipt.hunks_reviewed, receipt.hunks_skipped[&Skip::TooMuchText]), (3, 2));
        assert_eq!((receipt.files_reviewed, receipt.files_skipped[&Skip::TooMuchText]), (3, 2));
        let read = engine.metrics.batch_tokens.get_sample_sum() as usize;
        assert!((TOKENS_MAX - 4096..TOKENS_MAX + 4096).contains(&read), "{read}");
        // What was seen of a hunk before its end is told.
        let places: BTreeSet<&str> = result.findings.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(places, BTreeSet::from(["a.rs", "b.rs", "c.rs", "first.rs"]));
    }

    #[tokio::test]
    async fn what_is_not_read_in_time_is_left_out_with_its_reason() {
        let engine = engine();
        let patches = [("a.rs", new_file(10))];
        let plan = plan(&patches);
        let result = review(&engine, &plan, Duration::ZERO).await;
        assert_eq!(result.receipt.hunks_skipped[&Skip::OutOfTime], 1);
        assert!(result.findings.is_empty());
    }
}
