//! Compares `docs/openapi.yaml` with the types of `shared::api`, field by field.
//!
//! For each JSON body of the document there are samples of its type: one with every optional value, and one without any.
//! The properties of the schema are the fields of all samples together, its required ones are those that every sample
//! has, and what is null in one sample is nullable.

use sentinel_shared::Error;
use sentinel_shared::access::{NewKey, Principal, Role};
use sentinel_shared::api::access::{KeyCreated, SessionHolder, SignInRequest, SignedOut};
use sentinel_shared::api::dashboard::{Dashboard, ModelHealth};
use sentinel_shared::api::deliveries::{Forgotten, RedeliverAnswer};
use sentinel_shared::api::failures::{
    CauseDetail, Causes, FailureDetail, KnownAnswer, KnownList, KnownRequest, Red, RunDetail, Tests, Told,
};
use sentinel_shared::api::feedback::{FeedbackAnswer, FeedbackStatus};
use sentinel_shared::api::health::{
    GithubCheck, GithubState, Health, HealthStatus, ModelSource, RefusedModel, WrongSetting,
};
use sentinel_shared::api::models::{ChangedVerdict, ModelDiff, PromoteRequest, Registry, Serving, Uploaded};
use sentinel_shared::api::problem::Problem;
use sentinel_shared::api::reports::{ReportAnswer, ReportStatus};
use sentinel_shared::api::reviews::{ReplayAnswer, ReplayRequest, Requeued};
use sentinel_shared::api::verdict::PublicVerdict;
use sentinel_shared::api::verdicts::{ClassifyRequest, Timeline};
use sentinel_shared::api::webhook::{DeliveryAnswer, KnownJob, Pong};
use sentinel_shared::classifier::{Calibration, RankedClass, Term};
use sentinel_shared::drift::{
    Bins, DriftLevel, DriftReport, FeatureDrift, Heatmap, HeatmapColumn, Reference,
};
use sentinel_shared::evidence::GithubStanding;
use sentinel_shared::excerpt::Line;
use sentinel_shared::facts::{Facts, FailingTest, Missing, Place, PlaceKind, Tool, What};
use sentinel_shared::failure::FailureClass;
use sentinel_shared::features::Telemetry;
use sentinel_shared::feedback::{FeedbackRecord, FeedbackRequest, FeedbackStats};
use sentinel_shared::history::{
    Change, KnownIssue, NewKnown, Pattern, Relation, RetryAdvice, Standing, StandingLine, Trial, rate,
};
use sentinel_shared::junit::{Counts, Outcome};
use sentinel_shared::review::receipt::{Receipt, Skip};
use sentinel_shared::review::select::Withheld;
use sentinel_shared::review::{Category, Finding, Origin, Severity};
use sentinel_shared::store::access::KeyRow;
use sentinel_shared::store::deliveries::{DeliveryRow, DeliveryStatus};
use sentinel_shared::store::history::causes::{CauseBranch, CauseRow, CauseState, Occurrence};
use sentinel_shared::store::history::known::KnownRow;
use sentinel_shared::store::history::reports::ReportedTest;
use sentinel_shared::store::history::retries::{RetryRow, RetryState};
use sentinel_shared::store::history::runs::{FailureRow, Recovery, RedBranch, RunRow};
use sentinel_shared::store::history::tests::{RateSource, TestRow};
use sentinel_shared::store::inferences::{DayCount, EvidenceKind, Inference};
use sentinel_shared::store::jobs::{JobKind, JobStatus, ReviewResult};
use sentinel_shared::store::models::{Activation, ModelRow};
use sentinel_shared::store::pauses::{Breaker, Reason};
use sentinel_shared::store::queue::{JobRow, Wait};
use sentinel_shared::store::telemetry::StoredTelemetry;
use sentinel_shared::webhook::DeliveryKey;
use sentinel_tests::routes::{ROUTES, Route};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const WHEN: &str = "2026-01-31T00:00:00Z";

/// What stands for the request in the place of a status.
const REQUEST: &str = "request";

#[test]
fn every_json_body_of_the_api_is_described_field_by_field_as_its_type_has_it() {
    let document: Value = serde_yaml_ng::from_str(&super::read("docs/openapi.yaml")).unwrap();
    let mut described = bodies(&document);
    let mut check = Check { document: &document, of_requests: of_requests(&document), problems: Vec::new() };
    for (names, samples) in samples() {
        for name in names.split(", ") {
            let schema = described.remove(name).unwrap_or_else(|| panic!("{name} is not in the document"));
            check.body(schema, &samples.iter().collect::<Vec<_>>(), name);
        }
    }
    assert!(described.is_empty(), "these bodies have no type here: {:?}", described.keys());
    assert!(check.problems.is_empty(), "{}", check.problems.join("\n"));
}

#[test]
fn every_route_of_the_worker_is_described_and_every_described_one_is_routed() {
    let document: Value = serde_yaml_ng::from_str(&super::read("docs/openapi.yaml")).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
            described.insert((method.clone(), path.clone(), is_open));
        }
    }
    // It is open, and says more to a caller with a key.
    let is_open =
        |route: &Route| route.needs == "Nothing" && (route.method, route.path) != ("Get", "/api/session");
    let routed: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_lowercase(), route.path.to_owned(), is_open(route)))
        .collect();
    assert_eq!(described, routed);
}

#[test]
fn a_field_that_only_one_side_has_and_a_value_that_may_be_null_are_noticed() {
    let document = json!({});
    let found = |schema: Value, samples: &[Value]| {
        let mut check = Check { document: &document, of_requests: BTreeSet::new(), problems: Vec::new() };
        check.body(&schema, &samples.iter().collect::<Vec<_>>(), "get /x 200");
        check.problems
    };
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": "integer" }, "b": { "type": ["string", "null"] } } });
    assert_eq!(found(schema.clone(), &[json!({ "a": 1, "b": "x" }), json!({ "a": 2, "b": null })]).len(), 1);
    assert_eq!(found(schema.clone(), &[json!({ "a": 1, "b": "x" }), json!({ "a": 2 })]).len(), 1);
    assert_eq!(found(schema.clone(), &[json!({ "a": 1, "c": "x" }), json!({ "a": 2 })]).len(), 2);
    let nullable = [json!({ "a": 1, "b": "x" }), json!({ "a": 2, "b": null }), json!({ "a": 3 })];
    assert_eq!(found(schema.clone(), &nullable), Vec::<String>::new());
    assert_eq!(
        found(schema, &[json!({ "a": 1.5, "b": "x" }), json!({ "a": 2, "b": null }), json!({ "a": 3 })])
            .len(),
        1
    );
}

// === the document ===

/// The schema of each JSON body, under `method path status`, or `method path request`.
fn bodies(document: &Value) -> BTreeMap<String, &Value> {
    let mut bodies = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().iter();
            let answers = answers.map(|(status, answer)| (status.as_str(), answer));
            for (status, body) in answers.chain([(REQUEST, &operation["requestBody"])]) {
                let content = resolved(document, body)["content"].as_object();
                for (media_type, content) in content.into_iter().flatten() {
                    // A delivery is GitHub's.
                    let is_ours = path != "/webhook/github" || status != REQUEST;
                    if media_type == "application/json" && is_ours {
                        bodies.insert(format!("{method} {path} {status}"), &content["schema"]);
                    } else if media_type == "application/problem+json" {
                        bodies.insert("problem".to_owned(), &content["schema"]);
                    }
                }
            }
        }
    }
    bodies
}

/// The named schemas that requests use. A sender may leave out fields that an answer always has.
fn of_requests(document: &Value) -> BTreeSet<String> {
    let requests = bodies(document).into_iter().filter(|(name, _)| name.ends_with(REQUEST));
    let text: String = requests.map(|(_, schema)| schema.to_string()).collect();
    text.split("#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).expect("a reference leads somewhere"),
        None => value,
    }
}

struct Check<'a> {
    document: &'a Value,
    of_requests: BTreeSet<String>,
    problems: Vec<String>,
}

impl Check<'_> {
    fn body(&mut self, schema: &Value, samples: &[&Value], place: &str) {
        self.value(schema, samples, place, place.ends_with(REQUEST));
    }

    fn fail(&mut self, place: &str, what: impl std::fmt::Display) {
        self.problems.push(format!("{place}: {what}"));
    }

    fn value(&mut self, schema: &Value, samples: &[&Value], place: &str, may_lack: bool) {
        let document = self.document;
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let may_lack = may_lack || name.is_some_and(|name| self.of_requests.contains(name));
        let schema = &merged(document, resolved(document, schema));
        if let Some(branches) = schema["oneOf"].as_array() {
            return self.branches(branches, samples, place);
        }
        let values: Vec<&Value> = samples.iter().copied().filter(|value| !value.is_null()).collect();
        if values.is_empty() {
            return self.fail(place, "there is no sample of it");
        }
        let (has_null, allows_null) = (values.len() < samples.len(), allows_null(schema));
        if has_null != allows_null {
            self.fail(place, format!("null in the samples: {has_null}, in the schema: {allows_null}"));
        }
        for value in &values {
            if !is_of(schema, value) {
                self.fail(place, format!("{value} is not what the schema says"));
            }
        }
        match values[0] {
            Value::Object(_) => self.object(schema, &values, place, may_lack),
            Value::Array(_) => {
                let elements: Vec<&Value> =
                    values.iter().filter_map(|value| value.as_array()).flatten().collect();
                self.value(&schema["items"], &elements, &format!("{place}[]"), may_lack);
            }
            _ => {}
        }
    }

    fn object(&mut self, schema: &Value, values: &[&Value], place: &str, may_lack: bool) {
        let objects: Vec<&Map<String, Value>> = values.iter().filter_map(|value| value.as_object()).collect();
        let Some(properties) = schema["properties"].as_object() else {
            return match &schema["additionalProperties"] {
                Value::Bool(true) => {}
                Value::Object(_) => {
                    let all: Vec<&Value> = objects.iter().flat_map(|object| object.values()).collect();
                    self.value(&schema["additionalProperties"], &all, &format!("{place}.*"), may_lack);
                }
                _ if schema["type"].is_null() => {}
                _ => self.fail(place, "an object has properties, or additionalProperties"),
            };
        };
        let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let fields: BTreeSet<&str> =
            objects.iter().flat_map(|object| object.keys()).map(String::as_str).collect();
        for name in described.symmetric_difference(&fields) {
            let side = if described.contains(name) { "document" } else { "type" };
            self.fail(place, format!("only the {side} has {name}"));
        }
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let always: BTreeSet<&str> = fields
            .iter()
            .copied()
            .filter(|name| objects.iter().all(|object| object.contains_key(*name)))
            .collect();
        let wrong: Vec<&&str> = required.symmetric_difference(&always).collect();
        if !wrong.is_empty() && !may_lack {
            self.fail(
                place,
                format!("{wrong:?}: required in the schema {required:?}, always there {always:?}"),
            );
        }
        for (name, property) in properties {
            let values: Vec<&Value> = objects.iter().filter_map(|object| object.get(name)).collect();
            if !values.is_empty() {
                self.value(property, &values, &format!("{place}.{name}"), may_lack);
            }
        }
    }

    /// Each sample belongs to the branch whose constant values it has.
    fn branches(&mut self, branches: &[Value], samples: &[&Value], place: &str) {
        let mut seen = 0;
        for branch in branches {
            let has_constants = |sample: &&&Value| {
                let properties = branch["properties"].as_object().into_iter().flatten();
                let mut constants = properties.filter(|(_, property)| !property["const"].is_null());
                constants.all(|(name, property)| sample[name] == property["const"])
            };
            let own: Vec<&Value> = samples.iter().filter(has_constants).copied().collect();
            seen += own.len();
            self.value(branch, &own, &format!("{place} {}", branch["properties"]), false);
        }
        if seen != samples.len() {
            self.fail(place, format!("{} samples belong to {seen} branches", samples.len()));
        }
    }
}

/// The schema with the parts of its `allOf`, or the one of its `anyOf` that is not null.
fn merged(document: &Value, schema: &Value) -> Value {
    if let Some(choices) = schema["anyOf"].as_array() {
        let mut choice = resolved(document, &choices[0]).clone();
        choice["type"] = json!([choice["type"], "null"]);
        return choice;
    }
    let Some(parts) = schema["allOf"].as_array() else { return schema.clone() };
    let mut properties = Map::new();
    for part in parts {
        properties.extend(resolved(document, part)["properties"].as_object().unwrap().clone());
    }
    json!({ "type": "object", "properties": properties })
}

fn allows_null(schema: &Value) -> bool {
    let lists_null = |list: &Value| {
        list.as_array().is_some_and(|list| list.iter().any(|one| *one == Value::Null || one == "null"))
    };
    lists_null(&schema["type"]) || lists_null(&schema["enum"])
}

/// Whether a value has the type, or one of the values, that the schema says.
fn is_of(schema: &Value, value: &Value) -> bool {
    if let Some(values) = schema["enum"].as_array() {
        return values.contains(value);
    }
    if !schema["const"].is_null() {
        return schema["const"] == *value;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        // Described in words.
        _ => return schema["description"].is_string(),
    };
    types.contains(&match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

// === the samples ===

fn of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The bodies that a type is the body of, and samples of it.
fn samples() -> Vec<(&'static str, Vec<Value>)> {
    [verdicts(), failures(), known(), feedback(), reviews(), operations(), models(), open()].concat()
}

fn open() -> Vec<(&'static str, Vec<Value>)> {
    let health = Health {
        status: HealthStatus::Degraded,
        service: "sentinel-dashboard".into(),
        model_version: some("v1"),
        model_source: Some(ModelSource::BuiltIn),
        model_refused: Some(RefusedModel { version: "v2".into(), reason: "cut short".into() }),
        missing: vec!["A".into()],
        wrong: vec![WrongSetting { setting: "B".into(), problem: "not a number".into() }],
        unlimited: vec!["C".into()],
        evidence: EvidenceKind::Log,
        github: GithubState { state: GithubStanding::Limited, since: some(WHEN) },
    };
    let sick = Health {
        model_version: None,
        model_source: None,
        model_refused: None,
        github: GithubStanding::Unknown.into(),
        ..health.clone()
    };
    let principal = Principal { name: "ci".into(), role: Role::Read, scope: Some(7).into(), key_id: Some(1) };
    let inference = Box::new(inferences().swap_remove(0));
    let (repository, job) = ("o/r".to_owned(), some("o/r#7@0a1b2c"));
    vec![
        ("get /health 200, get /health 503", vec![of(health), of(sick)]),
        (
            "get /api/session 200, post /api/session 200",
            vec![
                of(SessionHolder::from(principal)),
                of(SessionHolder::from(Principal::operator())),
                of(SessionHolder::default()),
            ],
        ),
        ("post /api/session request", vec![of(SignInRequest { key: some("k") })]),
        ("delete /api/session 200", vec![of(SignedOut { status: "signed out".into() })]),
        ("problem", vec![of(Problem::from(&Error::NotFound))]),
        (
            "post /webhook/github 200",
            vec![
                of(Pong { msg: "pong".into() }),
                of(DeliveryAnswer::Ignored { reason: "muted".into() }),
                of(DeliveryAnswer::Duplicate(KnownJob { job: job.clone(), is: Some(JobStatus::Done) })),
                of(DeliveryAnswer::Duplicate(KnownJob::default())),
                of(DeliveryAnswer::Done { inference }),
                of(DeliveryAnswer::Done { inference: Box::new(inferences().swap_remove(1)) }),
                of(DeliveryAnswer::Recorded { repository: repository.clone() }),
                of(DeliveryAnswer::Muted { repository: repository.clone(), number: 7 }),
                of(DeliveryAnswer::Uninstalled { keys_revoked: 1, jobs_ended: 2 }),
            ],
        ),
        (
            "post /webhook/github 202",
            vec![
                of(DeliveryAnswer::Queued { delivery: some("d"), job: None, repository: repository.clone() }),
                of(DeliveryAnswer::Queued { delivery: None, job, repository }),
            ],
        ),
    ]
}

fn inferences() -> Vec<Inference> {
    let full = Inference {
        id: 1,
        timestamp: WHEN.into(),
        repository: "o/r".into(),
        subject: "run:1:1".into(),
        prediction: "Timeout".into(),
        confidence: 0.5,
        confidence_score: 0.5,
        top: json!([{ "class": "Timeout", "confidence": 0.5 }]),
        top_features: json!([{ "term": "timed", "drop": 0.5 }]),
        log_line: of(Line { number: 1, text: "timed out".into() }),
        evidence: EvidenceKind::Log,
        evidence_notes: json!(["log_awaited"]),
        event_source: "github_webhook".into(),
        workflow: some("CI"),
        job: some("test"),
        step: some("run"),
        html_url: some("https://github.com/o/r"),
        head_sha: some("f"),
        metrics_payload: json!({ "os": "linux" }),
        model_version: "v1".into(),
        corrected: some("Timeout"),
    };
    let empty = Inference {
        log_line: Value::Null,
        workflow: None,
        job: None,
        step: None,
        html_url: None,
        head_sha: None,
        corrected: None,
        ..full.clone()
    };
    vec![full, empty]
}

fn drift() -> DriftReport {
    let full = FeatureDrift {
        feature: "os".into(),
        method: "chi_square".into(),
        score: 0.5,
        p_value: Some(0.5),
        severity: DriftLevel::Stable,
        is_drifted: false,
        sample_size: 100,
    };
    let empty = FeatureDrift { method: "psi".into(), p_value: None, ..full.clone() };
    DriftReport {
        status: "Healthy".into(),
        sample_size: 100,
        required: 100,
        baseline_source: "training".into(),
        features: vec![full, empty],
    }
}

fn calibration() -> Calibration {
    Calibration { temperature: 0.5, abstain_below: 0.5, class_abstain_below: [0.5; 10] }
}

fn verdicts() -> Vec<(&'static str, Vec<Value>)> {
    let term = Term { term: "timed".into(), drop: 0.5 };
    let line = Line { number: 1, text: "timed out".into() };
    let told = PublicVerdict {
        prediction: "Timeout",
        confidence: 0.5,
        top: vec![RankedClass { class: FailureClass::Timeout, confidence: 0.5 }],
        terms: &[term],
        line: Some(&line),
        model_version: "v1",
        probabilities: Some([0.5; 10]),
    };
    let without_log = PublicVerdict { line: None, ..told.clone() };
    let measured = Telemetry {
        build_duration_sec: Some(0.5),
        test_duration_sec: Some(0.5),
        deploy_duration_sec: Some(0.5),
        cpu_usage_pct: Some(0.5),
        memory_usage_mb: Some(0.5),
        retry_count: Some(0.5),
        ..Telemetry::default()
    };
    let request = ClassifyRequest {
        log: some("log"),
        step: some("step"),
        job: some("job"),
        error_message: some("message"),
        telemetry: Some(measured.clone()),
        record: measured.clone(),
    };
    let empty_request =
        ClassifyRequest { telemetry: Some(Telemetry::default()), ..ClassifyRequest::default() };
    let model_health = ModelHealth {
        badge: "o".into(),
        label: "Healthy".into(),
        color: "#22c55e".into(),
        retrain_suggested: false,
        features_drifted: 0,
        total_features: 2,
        last_drift_check: some(WHEN),
    };
    let dashboard = Dashboard {
        health: model_health.clone(),
        drift_heatmap: drift().features,
        model_version: "v1".into(),
        calibration: calibration(),
        feedback_count: 1,
        inference_count: 1,
        deliveries_queued: 1,
        deliveries_failed: 1,
    };
    let young =
        Dashboard { health: ModelHealth { last_drift_check: None, ..model_health }, ..dashboard.clone() };
    let count = DayCount { day: "2026-01-31".into(), prediction: "Timeout".into(), count: 1 };
    let stored = StoredTelemetry {
        id: 1,
        repository: "o/r".into(),
        subject: "run:1:1".into(),
        prediction: "Timeout".into(),
        confidence: 0.5,
        model_version: "v1".into(),
        corrected: some("Timeout"),
        telemetry: measured,
    };
    let uncorrected = StoredTelemetry { corrected: None, telemetry: Telemetry::default(), ..stored.clone() };
    let reference = |bins| Reference { feature: "os".into(), bins, counts: vec![1] };
    let column = HeatmapColumn { from: some(WHEN), to: some(WHEN), report: drift(), counts: vec![vec![1]] };
    let undated = HeatmapColumn { from: None, to: None, ..column.clone() };
    let heatmap = Heatmap {
        model_version: "v1".into(),
        reference: vec![reference(Bins::Edges(vec![0.5])), reference(Bins::Levels(vec!["linux".into()]))],
        windows: vec![column, undated],
    };
    vec![
        ("post /api/classify request", vec![of(request), of(empty_request), of(ClassifyRequest::default())]),
        ("post /api/classify 200", vec![of(told), of(without_log)]),
        ("get /api/dashboard 200", vec![of(dashboard), of(young)]),
        ("get /api/timeline 200", vec![of(Timeline { since: WHEN.into(), days: 14, counts: vec![count] })]),
        ("get /api/history 200", vec![of(inferences())]),
        ("get /api/inference 200", inferences().into_iter().map(of).collect()),
        ("get /api/telemetry 200", vec![of([stored, uncorrected])]),
        ("get /api/drift 200, get /api/psi 200", vec![of(drift())]),
        ("get /api/drift/windows 200", vec![of(heatmap)]),
    ]
}

fn failures() -> Vec<(&'static str, Vec<Value>)> {
    let occurrence = Occurrence {
        id: 1,
        branch: "main".into(),
        head_sha: "f".into(),
        author: some("ann"),
        run_id: Some(1),
        run_attempt: 1,
    };
    let cause = CauseRow {
        id: 1,
        repository: "o/r".into(),
        class: "Timeout".into(),
        kind: some("job over its limit"),
        fault: "platform".into(),
        line: "timed out".into(),
        tests: vec!["test_load".into()],
        first_at: WHEN.into(),
        last_at: WHEN.into(),
        times: 2,
        passed: 1,
        state: CauseState::Open,
        flaky: false,
        first: occurrence.clone(),
        last: Occurrence { author: None, run_id: None, ..occurrence },
        days: vec![0, 2],
    };
    let plain =
        CauseRow { kind: None, first: cause.last.clone(), last: cause.first.clone(), ..cause.clone() };
    let branch = CauseBranch {
        workflow: "CI".into(),
        branch: "main".into(),
        on_default: true,
        times: 2,
        first_at: WHEN.into(),
        last_at: WHEN.into(),
        fixed_sha: some("f"),
        fixed_at: some(WHEN),
        green_sha: some("f"),
        red_sha: some("f"),
        red_at: some(WHEN),
        authors: vec!["ann".into()],
    };
    let still_red = CauseBranch {
        fixed_sha: None,
        fixed_at: None,
        green_sha: None,
        red_sha: None,
        red_at: None,
        ..branch.clone()
    };
    let line = |of| StandingLine { standing: Standing::Flaky, sentence: "flaky".into(), count: 1, of };
    let standing = vec![line(Some(2)), line(None)];
    let [failure, bare, by_regex] = failed_jobs();
    let retry = RetryRow {
        reason: "flaky".into(),
        times: 6,
        passed: 5,
        state: RetryState::Refused,
        answer: some("403"),
        claimed_at: WHEN.into(),
        sentence: "The failed jobs were run again.".into(),
    };
    let retries = [None, Some(RetryRow { answer: None, ..retry.clone() }), Some(retry)];
    let run = RunRow {
        repository: "o/r".into(),
        run_id: 1,
        run_attempt: 1,
        workflow: "CI".into(),
        branch: "main".into(),
        head_sha: "f".into(),
        author: some("ann"),
        pull: Some(7),
        conclusion: "failure".into(),
        ended_at: WHEN.into(),
        jobs_failed: 2,
        jobs_unread: 0,
    };
    let by_nobody = RunRow { author: None, pull: None, ..run.clone() };
    let test = TestRow {
        id: 1,
        repository: "o/r".into(),
        name: "test_load".into(),
        failures: 2,
        passed: 1,
        retried: 1,
        runs: 4,
        failed_runs: 2,
        rate: rate(2, 4),
        from: RateSource::Reports,
        first_at: WHEN.into(),
        last_at: WHEN.into(),
        flaky: true,
    };
    let by_webhooks =
        TestRow { runs: 0, failed_runs: 0, rate: None, from: RateSource::Webhooks, ..test.clone() };
    let report = ReportAnswer {
        status: ReportStatus::Recorded,
        repository: "o/r".into(),
        run: 1,
        attempt: 1,
        job: "test".into(),
        counts: Counts { passed: 3, passed_on_retry: 1, failed: 1, skipped: 0, seconds: 1.5 },
        tests: vec![ReportedTest { name: "test_load".into(), outcome: Outcome::Failed, flaky: true }],
    };
    let red = RedBranch {
        repository: "o/r".into(),
        workflow: "CI".into(),
        branch: "main".into(),
        cause_id: 1,
        class: "Timeout".into(),
        line: "timed out".into(),
        since: WHEN.into(),
        last_at: WHEN.into(),
        times: 2,
    };
    let recovery = Recovery { median_seconds: Some(1), p90_seconds: Some(2), lost_seconds: 3 };
    let of_red = |recovery| Red {
        branches: vec![red.clone()],
        recovery,
        flaky_tests: vec![test.clone(), by_webhooks.clone()],
    };
    let pages = [Some(1), None].map(|next| of(Causes { causes: vec![cause.clone(), plain.clone()], next }));
    let details = [(&cause, true), (&plain, false)].map(|(cause, advised)| {
        of(CauseDetail {
            cause: cause.clone(),
            about: about(&standing, advised),
            branches: vec![branch.clone(), still_red.clone()],
            failures: vec![failure.clone(), bare.clone(), by_regex.clone()],
        })
    });
    let mut of_runs = retries.iter().cloned();
    let runs = [Some(run), Some(by_nobody), None].map(|run| {
        let retry = of_runs.next().flatten();
        of(RunDetail {
            about: about(&standing, run.is_some()),
            run,
            failures: vec![failure.clone(), bare.clone(), by_regex.clone()],
            retry,
        })
    });
    let failures = [&failure, &bare, &by_regex].into_iter().zip(retries).map(|(failure, retry)| {
        of(FailureDetail { failure: failure.clone(), about: about(&standing, retry.is_some()), retry })
    });
    let failures: Vec<_> = failures.collect();
    vec![
        ("get /api/causes 200", pages.to_vec()),
        ("get /api/cause 200", details.to_vec()),
        ("get /api/run 200", runs.to_vec()),
        ("get /api/failure 200", failures),
        ("get /api/tests 200", vec![of(Tests { tests: vec![test.clone(), by_webhooks.clone()] })]),
        ("post /api/reports 200, post /api/reports 201", vec![of(report)]),
        ("get /api/red 200", vec![of(of_red(recovery)), of(of_red(Recovery::default()))]),
    ]
}

fn about(standing: &[StandingLine], advised: bool) -> Told {
    let advice = RetryAdvice { helps: true, sentence: "Run it again.".into(), passed: 1, times: 2 };
    let retry_advice = Some(advice).filter(|_| advised);
    Told { told: "Unit test: `x` fails.".into(), standing: standing.to_vec(), retry_advice }
}

/// Two failed jobs: one with all that can be known, and one with nothing but its verdict.
fn known_issue(pattern: Pattern) -> KnownIssue {
    KnownIssue {
        id: Some(1),
        entry: None,
        pattern,
        advice: "Run again.".into(),
        link: some("https://wiki.example"),
        retry: true,
    }
}

fn known() -> Vec<(&'static str, Vec<Value>)> {
    let row = KnownRow {
        id: 1,
        repository: "o/r".into(),
        pattern: "timed out".into(),
        is_regex: false,
        advice: "Run again.".into(),
        link: some("https://wiki.example"),
        retry: true,
        made_by: "ops".into(),
        made_at: WHEN.into(),
    };
    let plain = KnownRow { link: None, ..row.clone() };
    let issue =
        |text, regex| NewKnown { text, regex, advice: some("a"), link: some("https://w"), retry: true };
    let request = |issue| KnownRequest { repository: "o/r".into(), dry_run: true, issue };
    let trial = Trial { claims: 1, classes: 1, of: 2 };
    let kept =
        [row.clone(), plain.clone()].map(|row| KnownAnswer { trial, too_wide: None, known: Some(row) });
    let tried = KnownAnswer { trial, too_wide: some("too wide"), known: None };
    let answers = kept.iter().chain([&tried]).map(of).collect();
    vec![
        ("get /api/known 200", vec![of(KnownList { known: vec![row.clone(), plain.clone()] })]),
        (
            "post /api/known request",
            vec![
                of(request(issue(some("a b c"), None))),
                of(request(issue(None, some("a.b")))),
                of(request(NewKnown::default())),
            ],
        ),
        ("post /api/known 200, post /api/known 201", answers),
        ("delete /api/known 200", vec![of(row), of(plain)]),
    ]
}

fn failed_jobs() -> [FailureRow; 3] {
    let place = Place {
        path: "src/load.ts".into(),
        line: 42,
        column: Some(1),
        message: some("not a number"),
        kind: PlaceKind::Error,
    };
    let frame = Place { column: None, message: None, kind: PlaceKind::Frame, ..place.clone() };
    let facts = Facts {
        failing_tests: vec![FailingTest { name: "test_load".into(), tool: Tool::Pytest }],
        failing_tests_total: 1,
        places: vec![place, frame],
        exit_code: Some(1),
        signal: some("SIGKILL"),
        http_status: Some(503),
        missing: vec![Missing { what: What::File, name: "a.txt".into() }],
        limit_seconds: Some(0.5),
        took_seconds: Some(0.5),
    };
    let line = Line { number: 1, text: "timed out".into() };
    let full = FailureRow {
        id: 1,
        repository: "o/r".into(),
        is_headline: true,
        run_id: Some(1),
        run_attempt: 1,
        job_id: Some(1),
        workflow: "CI".into(),
        job: "test".into(),
        step: some("run"),
        branch: "main".into(),
        head_sha: "f".into(),
        trigger: some("push"),
        author: some("ann"),
        pull: Some(7),
        failed_at: WHEN.into(),
        passed_at: some(WHEN),
        prediction: "Timeout".into(),
        confidence: 0.5,
        top: json!([{ "class": "Timeout", "confidence": 0.5 }]),
        log_line: Some(line.clone()),
        html_url: some("https://github.com/o/r"),
        cause_id: Some(1),
        cause_times: Some(2),
        kind: some("job over its limit"),
        fault: "platform".into(),
        advice: some("Raise the limit."),
        docs: some("https://docs.github.com"),
        facts,
        around: vec![line],
        corrected: some("Timeout"),
        known: Some(known_issue(Pattern::Text("timed out".into()))),
        remarks: vec!["failures.retry is flaky".into()],
        change: Some(Change {
            relation: Relation::AddedLine,
            path: some("src/load.ts"),
            line: Some(42),
            sentence: "`src/load.ts:42` is a line this change adds.".into(),
        }),
        owners: vec!["@acme/loaders".into()],
    };
    let by_regex = FailureRow {
        change: Some(Change {
            relation: Relation::Elsewhere,
            path: None,
            line: None,
            sentence: "None of the places is in a file this change touches.".into(),
        }),
        known: Some(KnownIssue {
            id: None,
            entry: some("failures.known[0]"),
            link: None,
            ..known_issue(Pattern::Regex("timed .*".into()))
        }),
        ..full.clone()
    };
    let bare = FailureRow {
        known: None,
        change: None,
        run_id: None,
        job_id: None,
        step: None,
        trigger: None,
        author: None,
        pull: None,
        passed_at: None,
        log_line: None,
        html_url: None,
        cause_id: None,
        cause_times: None,
        kind: None,
        advice: None,
        docs: None,
        facts: Facts::default(),
        corrected: None,
        ..full.clone()
    };
    [full, bare, by_regex]
}

fn feedback() -> Vec<(&'static str, Vec<Value>)> {
    let full = FeedbackRecord {
        id: 1,
        timestamp: WHEN.into(),
        inference_id: Some(1),
        job_key: some("o/r#7@0a1b2c"),
        finding: some("*"),
        original_pred: "Timeout".into(),
        corrected_label: "Timeout".into(),
        author_id: "ci".into(),
    };
    let empty = FeedbackRecord { inference_id: None, job_key: None, finding: None, ..full.clone() };
    let answers = [&full, &empty]
        .map(|record| of(FeedbackAnswer { status: FeedbackStatus::Recorded, feedback: record.clone() }));
    let stats = FeedbackStats {
        total_records: 1,
        unique_authors: 1,
        correction_rate: 0.5,
        label_distribution: [("Timeout".to_owned(), 1)].into(),
        findings: [("useful".to_owned(), 1)].into(),
    };
    let request = FeedbackRequest { inference_id: Some(1), corrected_class: some("Timeout") };
    vec![
        ("get /api/feedback 200", vec![of([full, empty])]),
        ("post /api/feedback request", vec![of(request)]),
        ("post /api/feedback 200, post /api/feedback 201", answers.to_vec()),
        ("get /api/feedback/stats 200", vec![of(stats)]),
    ]
}

fn jobs() -> [JobRow; 2] {
    let finding = Finding {
        path: "a.rs".into(),
        line: 1,
        severity: Severity::Bug,
        category: Category::Logic,
        confidence: 0.5,
        text: "line".into(),
        hunk: "hunk".into(),
        origin: Origin::Model,
        suggestion: some("other line"),
    };
    let plain = Finding { suggestion: None, ..finding.clone() };
    let receipt = Receipt {
        files_skipped: [(Skip::Binary, 1)].into(),
        hunks_skipped: [(Skip::Binary, 1)].into(),
        ..Receipt::default()
    };
    let result = ReviewResult {
        head_sha: "f".into(),
        findings: vec![finding, plain],
        withheld: [(Withheld::OverCap, 1)].into(),
        receipt,
        model_version: "v1".into(),
        input_sha256: "0".into(),
    };
    let full = JobRow {
        key: "o/r#7@0a1b2c".into(),
        kind: JobKind::Review,
        repository: "o/r".into(),
        number: 7,
        head_sha: some("f"),
        status: JobStatus::Queued,
        attempts: 1,
        failures: 0,
        created_at: WHEN.into(),
        finished_at: some(WHEN),
        error: some("GitHub is away"),
        review_url: some("https://github.com/o/r/pull/7"),
        result: Some(result),
        wait: Some(Wait { reason: Some(Reason::Limited), until: WHEN.into() }),
    };
    let empty = JobRow {
        head_sha: None,
        finished_at: None,
        error: None,
        review_url: None,
        result: None,
        wait: None,
        ..full.clone()
    };
    [full, empty]
}

fn reviews() -> Vec<(&'static str, Vec<Value>)> {
    let [full, empty] = jobs();
    let pausing = JobRow { wait: Some(Wait { reason: None, until: WHEN.into() }), ..full.clone() };
    let all = [full, pausing, empty];
    let breaker = Breaker {
        account: "app".into(),
        reason: Reason::KeyRefused,
        meaning: "GitHub refuses the App's key".into(),
        to_do: Some("make a new one".into()),
        what: some("401"),
        since: WHEN.into(),
        retry_at: WHEN.into(),
        tries: 1,
        waiting: 1,
        since_seconds: 1,
    };
    let of_others = Breaker { to_do: None, what: None, ..breaker.clone() };
    let replayed = all.clone().map(|job| of(ReplayAnswer { status: Requeued::Queued, job }));
    vec![
        ("get /api/jobs 200", vec![of(&all)]),
        ("get /api/job 200", all.iter().map(of).collect()),
        ("get /api/breakers 200", vec![of([breaker, of_others])]),
        ("post /api/jobs/replay request", vec![of(ReplayRequest { key: "o/r#7@0a1b2c".into() })]),
        ("post /api/jobs/replay 200", replayed.to_vec()),
    ]
}

fn operations() -> Vec<(&'static str, Vec<Value>)> {
    let full = DeliveryRow {
        hook: "1".into(),
        id: "d".into(),
        event: "workflow_run".into(),
        repository: "o/r".into(),
        status: DeliveryStatus::Done,
        attempts: 1,
        received_at: WHEN.into(),
        finished_at: some(WHEN),
    };
    let deliveries = [full.clone(), DeliveryRow { finished_at: None, ..full }];
    let redelivered =
        deliveries.clone().map(|delivery| of(RedeliverAnswer { status: Requeued::Unchanged, delivery }));
    let check = GithubCheck {
        state: GithubStanding::Limited,
        since: some(WHEN),
        check: GithubStanding::Limited,
        repository: some("o/r"),
    };
    let untried = GithubCheck { since: None, repository: None, ..check };
    let key = KeyRow {
        id: 1,
        name: "ci".into(),
        role: Role::Read,
        installation_id: Some(7),
        created_at: WHEN.into(),
        revoked_at: some(WHEN),
    };
    let unlimited = KeyRow { installation_id: None, revoked_at: None, ..key.clone() };
    let keys = [key, unlimited];
    let token = format!("sntl_{}", "0".repeat(64));
    let created = keys.clone().map(|stored| of(KeyCreated { key: token.clone(), stored }));
    let new = [Some(7), None]
        .map(|installation_id| of(NewKey { name: "ci".into(), role: Role::Read, installation_id }));
    vec![
        ("get /api/deliveries 200", vec![of(&deliveries)]),
        (
            "post /api/deliveries/redeliver request",
            vec![of(DeliveryKey { hook: "1".into(), id: "d".into() })],
        ),
        ("post /api/deliveries/redeliver 200", redelivered.to_vec()),
        ("get /api/github 200", vec![of(check), of(untried)]),
        ("delete /api/repositories 200", vec![of(Forgotten { repository: "o/r".into(), rows: 1 })]),
        ("get /api/keys 200", vec![of(&keys)]),
        ("post /api/keys request", new.to_vec()),
        ("post /api/keys 201", created.to_vec()),
        ("delete /api/keys 200", keys.iter().map(of).collect()),
    ]
}

fn models() -> Vec<(&'static str, Vec<Value>)> {
    let manifest = serde_json::from_value(super::manifest()).unwrap();
    let model = ModelRow {
        model_version: "v2".into(),
        status: "candidate".into(),
        digest: "0".into(),
        manifest: json!({}),
        uploaded_by: "ci".into(),
        timestamp: WHEN.into(),
    };
    let activation = Activation {
        model_version: some("v2"),
        previous: some("v1"),
        action: "promote".into(),
        author: "ci".into(),
        timestamp: WHEN.into(),
    };
    let first = Activation { model_version: None, previous: None, ..activation.clone() };
    let registry = Registry {
        latest: "v1".into(),
        retrain_suggested: false,
        serving: manifest,
        models: vec![model],
        activations: vec![activation, first],
    };
    let changed = ChangedVerdict {
        id: 1,
        repository: "o/r".into(),
        subject: "run:1:1".into(),
        corrected: some("Timeout"),
        active: "Timeout".into(),
        candidate: "Unknown".into(),
        confidence: 0.5,
    };
    let uncorrected = ChangedVerdict { corrected: None, ..changed.clone() };
    let diff = ModelDiff {
        active: "v1".into(),
        candidate: "v2".into(),
        compared: 2,
        changed: vec![changed, uncorrected],
    };
    let uploaded = Uploaded { model_version: "v2".into(), digest: "0".into(), status: "registered".into() };
    let serving = Serving { model_version: "v2".into(), changed: true };
    vec![
        ("get /api/registry 200", vec![of(registry)]),
        ("post /api/models 200, post /api/models 201", vec![of(uploaded)]),
        ("get /api/models/diff 200", vec![of(diff)]),
        ("post /api/models/promote request", vec![of(PromoteRequest { version: some("v2") })]),
        ("post /api/models/promote 200, post /api/models/rollback 200", vec![of(serving)]),
    ]
}
