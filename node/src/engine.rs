//! From a plan to findings: encode, run, choose. What the command line, the gRPC service and the reviewer share.

use crate::backend::ort::{Options, Pool, Provider};
use crate::batcher::{Batcher, Limits, Manners};
use crate::metrics::Metrics;
use crate::review_model::{Manifest, ReviewModel};
use crate::tokenizer::Encoder;
use futures_util::future::try_join_all;
use futures_util::{Stream, StreamExt};
use sentinel_shared::review::plan::{Plan, Planned};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::receipt::Skip;
use sentinel_shared::review::select::{self, select};
use sentinel_shared::review::{Finding, certain};
use sentinel_shared::store::reviews::ReviewResult;
use sentinel_shared::{Error, Result, hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Hunks of one review that are in the queue at once: enough to fill batches, few enough to leave room for others.
const IN_FLIGHT: usize = 16;

/// A model that is loaded, with its queue.
pub struct Engine {
    /// What the model is.
    pub manifest: Manifest,
    /// What runs it.
    pub provider: Provider,
    /// The queue.
    pub batcher: Batcher,
    encoder: Encoder,
    metrics: Arc<Metrics>,
}

/// What became of one planned hunk.
pub struct HunkOutcome {
    /// Its place in the plan.
    pub at: usize,
    /// Everything found, whether or not it will be shown; or why the hunk was left out.
    pub findings: std::result::Result<Vec<Finding>, Skip>,
}

impl Engine {
    /// Loads the model and starts its queue; needs a tokio runtime.
    ///
    /// # Errors
    /// A model or a runtime that does not load.
    pub fn start(
        model: &ReviewModel,
        options: &Options,
        limits: impl FnOnce(Provider) -> Limits,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        // Beside each other: a node that starts fast is a node that scales.
        let (encoder, pool) = std::thread::scope(|scope| {
            let encoder = scope.spawn(|| Encoder::new(model));
            let pool = Pool::load(model, options);
            (encoder.join().unwrap_or_else(|panic| resume_unwind(panic)), pool)
        });
        let (encoder, pool) = (encoder?, pool?);
        let labels = [model.manifest.model_version.as_str(), pool.provider.label()];
        metrics.model_info.with_label_values(&labels).set(1);
        Ok(Self {
            manifest: model.manifest.clone(),
            provider: pool.provider,
            batcher: Batcher::start(pool.sessions, limits(pool.provider), Arc::clone(&metrics)),
            encoder,
            metrics,
        })
    }

    /// An engine for the reviews of one person: nothing waits for company, nothing is refused, nobody counts.
    ///
    /// # Errors
    /// As [`Self::start`] and [`ReviewModel::load`].
    pub fn alone(model: Option<&Path>, options: &Options) -> anyhow::Result<Self> {
        let limits = Limits { batch_tokens: 2048, max_wait: Duration::ZERO, queue_tokens: 1 << 20 };
        Self::start(&ReviewModel::load(model)?, options, |_| limits, Arc::new(Metrics::default()))
    }

    /// Reviews every hunk of `plan`; outcomes come in the plan's order.
    ///
    /// # Errors
    /// Of an item: [`Error::Overloaded`] for a caller with [`Manners::Refuse`], and [`Error::BackendFailed`].
    pub fn outcomes<'a>(
        &'a self,
        plan: &'a Plan<'_>,
        manners: Manners,
        deadline: Option<Instant>,
    ) -> impl Stream<Item = Result<HunkOutcome>> + 'a {
        let outcome = move |(at, planned): (usize, &'a Planned<'_>)| async move {
            match self.hunk(planned, manners, deadline).await {
                Ok(findings) => Ok(HunkOutcome { at, findings: Ok(findings) }),
                Err(Error::DeadlineExceeded) => Ok(HunkOutcome { at, findings: Err(Skip::OutOfTime) }),
                Err(error) => Err(error),
            }
        };
        futures_util::stream::iter(plan.hunks.iter().enumerate()).map(outcome).buffered(IN_FLIGHT)
    }

    /// Reviews the whole plan and chooses what is shown.
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
        let mut findings = Vec::new();
        let mut skipped = vec![Some(Skip::OutOfTime); plan.hunks.len()];
        let mut outcomes = std::pin::pin!(self.outcomes(plan, Manners::Wait, Some(deadline)));
        while let Some(outcome) = outcomes.next().await {
            let HunkOutcome { at, findings: found } = outcome?;
            match found {
                Ok(found) => {
                    skipped[at] = None;
                    findings.extend(found);
                }
                Err(reason) => skipped[at] = Some(reason),
            }
        }
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
            input_sha256: digest(plan),
        })
    }

    /// What the checks and the model find in one hunk.
    ///
    /// # Errors
    /// As [`Batcher::run`].
    pub async fn hunk(
        &self,
        planned: &Planned<'_>,
        manners: Manners,
        deadline: Option<Instant>,
    ) -> Result<Vec<Finding>> {
        let mut findings: Vec<Finding> =
            certain::findings(planned.path, planned.language, &planned.hunk).collect();
        // Room first: under pressure not even the reading is begun.
        let room = self.batcher.reserve(planned.estimated_tokens(), manners, deadline).await?;
        let room = Arc::new(room);
        let scored = self.encoder.pieces(planned.path, planned.language, &planned.hunk).into_iter();
        // A piece of context only has no line to comment on.
        let scored = scored.filter(|(_, encoded)| !encoded.added_at.is_empty()).map(|(piece, encoded)| {
            let room = &room;
            async move {
                let score = self.batcher.run(encoded.into(), room).await?.score(self.manifest.calibration);
                Ok::<_, Error>(select::finding_of(planned.path, &piece, &score))
            }
        });
        findings.extend(try_join_all(scored).await?.into_iter().flatten());
        Ok(findings)
    }
}

/// Hexadecimal SHA-256 of every path and hunk of the plan: what the model was shown.
#[must_use]
pub fn digest(plan: &Plan<'_>) -> String {
    let mut hash = Sha256::new();
    for planned in &plan.hunks {
        hash.update(planned.path.as_bytes());
        hash.update([0]);
        hash.update(planned.hunk.to_string().as_bytes());
    }
    hex::encode(&hash.finalize())
}
