//! A real Prometheus beside the running stack, with the scrape jobs, rules and panels that ship in `deploy/`.

use super::{KEY, Outcome, PYTEST_LOG, World, deliver, same, text_log};
use anyhow::Context;
use sentinel_tests::deliver::Delivery;
use sentinel_tests::stack::{Server, free_port};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const RULES: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../../deploy/grafana/dashboards/sentinel.json");

/// What never was counted in this stack has no series to show, a few verdicts are no drift, and no branch went green.
const MAY_BE_EMPTY: [&str; 5] = [
    "sentinel_shed_total",
    "sentinel_finding_feedback_total",
    "sentinel_job_outcomes_total{outcome=~",
    "sentinel_drift_score",
    "sentinel_time_to_green_median_seconds",
];

pub(super) fn every_panel_answers(world: &World) -> Outcome {
    // Something of each kind to be counted.
    world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?;
    super::reviews::one_review(world)?;
    world.post(&Delivery::signed("workflow_run", "unsigned", &json!({}), "a stranger's secret"))?;
    let prometheus = Prometheus::start(world)?;
    prometheus.until("both are scraped", |prometheus| {
        Ok(prometheus.ask("count(up == 1)")?["result"][0]["value"][1] == "2")
    })?;
    prometheus.until("rates need two scrapes", |prometheus| {
        Ok(!prometheus.ask("rate(sentinel_deliveries_total[1m])")?["result"]
            .as_array()
            .is_none_or(Vec::is_empty))
    })?;
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().ok_or("panels")?;
    let rows: Vec<&str> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .filter_map(|row| row["title"].as_str())
        .collect();
    same(&rows, &vec!["Traffic", "Latency", "Compute", "Quality"], &"rows")?;
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        let query = target["expr"].as_str().ok_or("expr")?.replace("$__rate_interval", "1m");
        let answer = prometheus.ask(&query)?;
        let is_empty = answer["result"].as_array().is_none_or(Vec::is_empty);
        if is_empty && !MAY_BE_EMPTY.iter().any(|family| query.contains(family)) {
            return Err(format!("nothing answers {query}").into());
        }
    }
    let refused = prometheus.ask(r#"sentinel_deliveries_refused_total{reason="signature"} > 0"#)?;
    same(&refused["result"].as_array().map(Vec::len), &Some(1), &refused)?;

    // The rule as it ships, with a shorter patience.
    same(&prometheus.is_firing("NodeDown")?, &false, &"the node is up")?;
    world.node.lock().map_err(|_| "poisoned")?.take().ok_or("the node runs")?.kill();
    prometheus.until("the alert fires", |prometheus| prometheus.is_firing("NodeDown"))?;
    world.restart_node()?;
    prometheus.until("the alert clears", |prometheus| Ok(!prometheus.is_firing("NodeDown")?))?;
    Ok(())
}

struct Prometheus(Server);

impl Prometheus {
    fn start(world: &World) -> anyhow::Result<Self> {
        let folder = world.folder.join("prometheus");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("alerts.yml"), with_patience(RULES, "1s"))?;
        std::fs::write(folder.join("key"), KEY)?;
        let host = |url: &str| url.trim_start_matches("http://").to_owned();
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": ["alerts.yml"],
            "scrape_configs": [
                { "job_name": "sentinel-node", "static_configs": [{ "targets": [format!("127.0.0.1:{}", world.node_port)] }] },
                // The API's limit of 30 calls a minute holds for Prometheus too.
                { "job_name": "sentinel-edge", "scrape_interval": "5s", "authorization": { "credentials_file": "key" },
                  "static_configs": [{ "targets": [host(&world.worker.url)] }] },
            ],
        });
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yml"), config.to_string())?;
        let port = free_port()?;
        let mut command = Command::new(binary()?);
        command.current_dir(&folder).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            &format!("--web.listen-address=127.0.0.1:{port}"),
        ]);
        let prometheus = Self(Server::listening(command, port, &folder.join("prometheus.log"))?);
        prometheus.until("it is ready", |prometheus| {
            Ok(deliver::get(&prometheus.0.url, "/-/ready", None)?.status == 200)
        })?;
        Ok(prometheus)
    }

    fn ask(&self, query: &str) -> anyhow::Result<Value> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = deliver::get(&self.0.url, &format!("/api/v1/query?query={escaped}"), None)?;
        anyhow::ensure!(answer.body["status"] == "success", "{query}: {}", answer.body);
        Ok(answer.body["data"].clone())
    }

    fn is_firing(&self, alert: &str) -> anyhow::Result<bool> {
        let alerts = deliver::get(&self.0.url, "/api/v1/alerts", None)?.body;
        let alerts = alerts["data"]["alerts"].as_array().context("alerts")?;
        Ok(alerts.iter().any(|each| each["labels"]["alertname"] == alert && each["state"] == "firing"))
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(self)? {
            anyhow::ensure!(Instant::now() < deadline, "not within a minute: {what}\n{}", self.0.log());
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

fn with_patience(rules: &str, patience: &str) -> String {
    let line = |line: &str| match line.split_once("for: ") {
        Some((before, _)) => format!("{before}for: {patience}\n"),
        None => format!("{line}\n"),
    };
    rules.lines().map(line).collect()
}

/// It is installed together with promtool.
fn binary() -> anyhow::Result<PathBuf> {
    let promtool = std::env::var_os("PROMTOOL").context("PROMTOOL is not set")?;
    Ok(Path::new(&promtool).with_file_name("prometheus"))
}

pub(super) fn rules_fire_and_clear(_: &World) -> Outcome {
    let promtool = std::env::var_os("PROMTOOL").ok_or("PROMTOOL is not set")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    for arguments in [
        ["test", "rules", "alerts_test.yml"].as_slice(),
        &["check", "rules", "--lint-fatal", "alerts.yml"],
        &["check", "config", "--syntax-only", "prometheus.yml"],
    ] {
        let told = Command::new(&promtool).current_dir(&folder).args(arguments).output()?;
        if !told.status.success() {
            let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
            return Err(format!("promtool {}:\n{out}{err}", arguments.join(" ")).into());
        }
    }
    Ok(())
}
