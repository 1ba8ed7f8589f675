//! `GET /metrics`. Totals come from the database, so they survive every isolate.

use crate::clock::now;
use crate::guard::Call;
use crate::respond;
use sentinel_shared::access::Scope;
use sentinel_shared::api::dashboard::WINDOW;
use sentinel_shared::drift::DriftReport;
use sentinel_shared::evidence::GithubStanding;
use sentinel_shared::store::history::gauges;
use sentinel_shared::store::{counters, drift, evidence, inferences};
use sentinel_shared::{Error, Result};
use std::fmt::Write;
use worker::Response;

/// Name, help and label of each family, and the counter it is read from.
const FAMILIES: [(&str, &str, &str, &str); 8] = [
    ("sentinel_deliveries_total", "Deliveries recorded, by event.", "event", "deliveries"),
    ("sentinel_deliveries_refused_total", "Deliveries refused, by reason.", "reason", "refused"),
    ("sentinel_inferences_total", "Verdicts stored, by class.", "prediction", "inferences"),
    ("sentinel_evidence_total", "Verdicts stored, by what they were made from.", "evidence", "evidence"),
    ("sentinel_review_jobs_total", "Jobs of pull requests that ended, by how.", "status", "jobs"),
    ("sentinel_review_comments_total", "Comments on pull requests, by severity.", "severity", "comments"),
    ("sentinel_feedback_total", "What people said, by the class they named.", "corrected", "feedback"),
    (
        "sentinel_finding_feedback_total",
        "What people thought of comments on pull requests.",
        "opinion",
        "finding_feedback",
    ),
];

/// `GET /metrics`, in the Prometheus text format.
pub(crate) async fn metrics(Call { app, .. }: Call) -> Result<Response> {
    let model = app.model().await?;
    let version = &model.manifest.model_version;
    let query = counters::counters()
        .and(inferences::totals(Scope::All, WINDOW))
        .and(drift::window(Scope::All, version))
        .and(evidence::trouble())
        .and(gauges::gauges(now()));
    let ((((counters, totals), window), trouble), remembered) = app.database.ask(query).await?;
    let troubled = |state| u64::from(trouble.as_ref().is_some_and(|trouble| trouble.state == state));
    let drift = DriftReport::of(&model.baseline, &window);
    let mut text = String::new();
    for (family, help, label, name) in FAMILIES {
        let _ = write!(text, "# HELP {family} {help}\n# TYPE {family} counter\n");
        for counter in counters.iter().filter(|counter| counter.name == name) {
            let _ = writeln!(text, "{family}{{{label}=\"{}\"}} {}", escaped(&counter.label), counter.value);
        }
    }
    let refused = u64::from(app.models.refused().is_some());
    for (gauge, help, value) in [
        ("sentinel_model_refused", "1 while the registered model was refused and another serves.", refused),
        (
            "sentinel_github_token_refused",
            "1 while GitHub does not accept the worker's token.",
            troubled(GithubStanding::TokenRefused),
        ),
        (
            "sentinel_github_limited",
            "1 while GitHub limits the worker's rate.",
            troubled(GithubStanding::Limited),
        ),
        (
            "sentinel_github_away",
            "1 while GitHub or the storage of its logs is not well.",
            troubled(GithubStanding::Away),
        ),
        ("sentinel_deliveries_queued", "Deliveries waiting to be classified.", totals.queued),
        ("sentinel_deliveries_failed", "Deliveries given up after three tries.", totals.failed),
        (
            "sentinel_causes_open",
            "Causes of failures whose branches have not been green since, of the last 30 days.",
            remembered.causes_open,
        ),
        (
            "sentinel_flaky_tests",
            "Tests that often passed when they were tried again.",
            remembered.flaky_tests,
        ),
    ] {
        let _ = write!(text, "# HELP {gauge} {help}\n# TYPE {gauge} gauge\n{gauge} {value}\n");
    }
    // Where nothing went green there is no median, and 0 would be the best of all.
    if let Some(seconds) = remembered.median_seconds_to_green {
        let gauge = "sentinel_time_to_green_median_seconds";
        let help = "Median time from a default branch's first failure to its green run, over 30 days.";
        let _ = write!(text, "# HELP {gauge} {help}\n# TYPE {gauge} gauge\n{gauge} {seconds}\n");
    }
    let family = "sentinel_drift_score";
    let _ = write!(
        text,
        "# HELP {family} PSI, or 1 - p of a chi-square test, of the last inferences against training.\n# TYPE {family} gauge\n"
    );
    for feature in &drift.features {
        let score = feature.p_value.map_or(feature.score, |p| 1.0 - p);
        let _ = writeln!(
            text,
            "{family}{{feature=\"{}\",method=\"{}\"}} {score}",
            feature.feature, feature.method
        );
    }
    let _ = write!(
        text,
        "# HELP sentinel_model_info The model in use.\n# TYPE sentinel_model_info gauge\n\
         sentinel_model_info{{version=\"{}\"}} 1\n",
        escaped(version)
    );
    respond::build(
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        text.into_bytes(),
        &[("cache-control", "no-store")],
    )
    .map_err(|_| Error::Internal("the answer can't be built"))
}

/// Escapes a label value (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
