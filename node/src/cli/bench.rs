//! `sentinel bench`: measures one prediction, one feature vector and one large log on this machine.

use crate::learn::failure_model;
use anyhow::{Context, Result};
use clap::Args;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::features::{FeatureVector, Telemetry};
use serde_json::json;
use std::hint::black_box;
use std::time::{Duration, Instant};

const REPEATS: usize = 2000;
const LOG_BYTES: usize = 100 * 1000;
const LARGE_LOG_BYTES: usize = 100 * 1000 * 1000;

/// Measure the classifier on this machine. `cargo xtask bench classifier` compares it with other runtimes.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Measure one prediction: one row in, ten probabilities out.
    #[arg(long)]
    predict: bool,
    /// Measure the features and the verdict of a 100 KB log, and the excerpt of a 100 MB log.
    #[arg(long)]
    features: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<()> {
        let bundle = failure_model::load(None)?;
        if self.predict {
            let rows = rows(&bundle)?;
            let mut next = rows.iter().cycle();
            let median = median(REPEATS, || {
                let row = next.next().expect("a cycle has no end");
                black_box(bundle.classifier.predict(row)).is_ok()
            });
            stdout!("{}", json!({ "median_us": median.as_secs_f64() * 1e6 }));
        }
        if self.features {
            let log = log_of(LOG_BYTES);
            let features = median(100, || {
                let excerpt = Excerpt::of(&log);
                let telemetry = Telemetry::of_log(&excerpt, None, None, &bundle.patterns);
                black_box(bundle.pipeline.transform(&telemetry)).values().len() == 884
            });
            let verdict =
                median(100, || black_box(bundle.classify_log(&Excerpt::of(&log), None, None)).is_ok());
            let large = log_of(LARGE_LOG_BYTES);
            let excerpt = median(3, || black_box(Excerpt::of(&large)).log_lines > 0);
            stdout!("features of a 100 KB log {:>10.2} ms", features.as_secs_f64() * 1e3);
            stdout!("verdict on a 100 KB log  {:>10.2} ms", verdict.as_secs_f64() * 1e3);
            stdout!(
                "excerpt of a 100 MB log  {:>10.0} MB/s",
                LARGE_LOG_BYTES as f64 / 1e6 / excerpt.as_secs_f64()
            );
        }
        Ok(())
    }
}

/// Rows like real ones: the features of different logs.
fn rows(bundle: &ModelBundle) -> Result<Vec<FeatureVector>> {
    let messages = [
        "no space left on device",
        "npm ERR! code ERESOLVE",
        "FAILED test_a - AssertionError",
        "403 Forbidden",
    ];
    let rows: Vec<_> = messages
        .iter()
        .map(|message| {
            let excerpt =
                Excerpt::of(format!("##[group]Run x\n{message}\n##[error]exit code 1\n").as_bytes());
            bundle.pipeline.transform(&Telemetry::of_log(&excerpt, None, None, &bundle.patterns))
        })
        .collect();
    rows.first().context("there are rows")?;
    Ok(rows)
}

/// A log of ordinary output with an error near its end.
fn log_of(bytes: usize) -> Vec<u8> {
    let chatter =
        b"2026-01-01T00:00:00.1234567Z    Compiling some-crate v1.2.3 (/home/runner/work/project/project)\n";
    let mut log = chatter.repeat(bytes / chatter.len());
    log.extend_from_slice(
        b"2026-01-01T00:00:00.1234567Z error[E0308]: mismatched types\n  --> src/lib.rs:10:5\n",
    );
    log.extend_from_slice(b"2026-01-01T00:00:00.1234567Z ##[error]Process completed with exit code 101.\n");
    log
}

fn median(repeats: usize, mut work: impl FnMut() -> bool) -> Duration {
    let mut times: Vec<Duration> = (0..repeats)
        .map(|_| {
            let started = Instant::now();
            assert!(work(), "what is timed must work");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[repeats / 2]
}
