//! Every metric of the node. The doc comment of a field is its help text.
//!
//! Labels come from closed sets. A repository, user or path is never a label.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Declares the fields of [`Metrics`] and registers each under its name with its doc comment as help.
macro_rules! metrics {
    ($(
        #[doc = $help:literal]
        $field:ident: $kind:ident = $name:literal $(by [$($label:literal),+])? $(in [$($bucket:literal),+])?,
    )+) => {
        /// What the node counts and measures.
        pub struct Metrics {
            registry: Registry,
            $( #[doc = $help] pub $field: $kind, )+
        }

        impl Default for Metrics {
            fn default() -> Self {
                let registry = Registry::new();
                $(
                    let $field = $kind::make($name, $help.trim(), &[$($($label),+)?], &[$($($bucket),+)?])
                        .expect("names and labels of the catalogue are valid");
                    registry.register(Box::new($field.clone())).expect("names of the catalogue are unique");
                )+
                Self { registry, $( $field ),+ }
            }
        }
    };
}

/// One way to make every kind of metric.
trait Make: Sized {
    fn make(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self>;
}

impl Make for IntCounter {
    fn make(name: &str, help: &str, _: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }
}

impl Make for IntGauge {
    fn make(name: &str, help: &str, _: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }
}

impl Make for IntCounterVec {
    fn make(name: &str, help: &str, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Make for IntGaugeVec {
    fn make(name: &str, help: &str, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Make for Histogram {
    fn make(name: &str, help: &str, _: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
    }
}

impl Make for HistogramVec {
    fn make(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
    }
}

metrics! {
    /// Seconds one batch took in the model.
    inference_latency: Histogram = "sentinel_inference_latency_seconds" in [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0],
    /// Sequences of one batch.
    batch_size: Histogram = "sentinel_batch_size" in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    /// Tokens of one batch, padding included.
    batch_tokens: Histogram = "sentinel_batch_tokens" in [64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0],
    /// Tokens that were run for nothing but to make sequences of a batch equally long.
    padding_tokens: IntCounter = "sentinel_padding_tokens_total",
    /// Sequences that wait for the model.
    queue_depth: IntGauge = "sentinel_queue_depth",
    /// Tokens that wait for the model or are in it.
    queue_tokens: IntGauge = "sentinel_queue_tokens",
    /// Seconds a sequence waited before its batch began.
    queue_wait: Histogram = "sentinel_queue_wait_seconds" in [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
    /// Work refused at the door, by reason.
    shed: IntCounterVec = "sentinel_shed_total" by ["reason"],
    /// Accepted work that was dropped before it cost anything, by reason.
    dropped: IntCounterVec = "sentinel_work_dropped_total" by ["reason"],
    /// Batches the runtime failed on.
    inference_errors: IntCounter = "sentinel_inference_errors_total",
    /// Sessions of the model that can run.
    sessions: IntGauge = "sentinel_sessions",
    /// Sessions that panicked and were dropped; each is made anew.
    session_panics: IntCounter = "sentinel_session_panics_total",
    /// gRPC calls, by method and code.
    grpc_calls: IntCounterVec = "sentinel_grpc_calls_total" by ["method", "code"],
    /// Seconds of a gRPC call, by method.
    grpc_latency: HistogramVec = "sentinel_grpc_latency_seconds" by ["method"] in [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    /// Findings by severity, and what became of them: posted, moved to the summary, or already there.
    review_posted: IntCounterVec = "sentinel_review_posted_total" by ["severity", "status"],
    /// Findings that were not shown, by reason.
    withheld: IntCounterVec = "sentinel_findings_withheld_total" by ["reason"],
    /// Hunks that were reviewed or skipped, by outcome.
    hunks: IntCounterVec = "sentinel_hunks_total" by ["outcome"],
    /// Seconds from a job's creation at the edge to its review on GitHub.
    e2e_latency: Histogram = "sentinel_e2e_latency_seconds" in [0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0],
    /// Jobs this node works on right now.
    active_workers: IntGauge = "sentinel_active_workers",
    /// How jobs ended on this node, by outcome.
    job_outcomes: IntCounterVec = "sentinel_job_outcomes_total" by ["outcome"],
    /// Jobs in the database, by status.
    jobs: IntGaugeVec = "sentinel_jobs" by ["status"],
    /// Seconds since the oldest lease was renewed.
    lease_age: IntGauge = "sentinel_oldest_lease_seconds",
    /// Seconds that the oldest job which could be taken has waited.
    queued_age: IntGauge = "sentinel_oldest_queued_seconds",
    /// Accounts on GitHub whose jobs are paused, by reason.
    breakers: IntGaugeVec = "sentinel_breakers_open" by ["reason"],
    /// Seconds since the trouble began for which the longest paused account on GitHub is paused.
    breaker_age: IntGauge = "sentinel_oldest_breaker_seconds",
    /// Calls to GitHub's API, by kind of answer.
    github_calls: IntCounterVec = "sentinel_github_calls_total" by ["answer"],
    /// Writes to GitHub that had to wait for its content limits.
    github_waits: IntCounter = "sentinel_github_write_waits_total",
    /// Writes to GitHub by all nodes in the last hour, of the 500 that it allows one account.
    github_writes: IntGauge = "sentinel_github_writes_last_hour",
    /// 1 while the node takes work.
    ready: IntGauge = "sentinel_ready",
    /// The model in use and what runs it.
    model_info: IntGaugeVec = "sentinel_review_model_info" by ["version", "provider"],
}

impl Metrics {
    /// All of them, in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if TextEncoder::new().encode(&self.registry.gather(), &mut text).is_err() {
            return String::new();
        }
        String::from_utf8(text).unwrap_or_default()
    }
}
