//! The worker in workerd, with the real database server and a fake GitHub, as senders, operators and attackers use it.
//!
//! All tests share one stack, so they run one after the other.

#[path = "edge/access.rs"]
mod access;
#[path = "edge/causes.rs"]
mod causes;
#[path = "edge/change.rs"]
mod change;
#[path = "edge/day.rs"]
mod day;
#[path = "edge/evidence.rs"]
mod evidence;
#[path = "edge/known.rs"]
mod known;
#[path = "edge/mcp.rs"]
mod mcp;
#[path = "edge/monitoring.rs"]
mod monitoring;
#[path = "edge/reports.rs"]
mod reports;
#[path = "edge/reviews.rs"]
mod reviews;
#[path = "edge/runs.rs"]
mod runs;

use libtest_mimic::{Arguments, Failed, Trial};
use sentinel_node::learn::failure_model;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::artifact::signed::PrivateKey;
use sentinel_tests::deliver::{self, Answer, Delivery};
use sentinel_tests::github::{FakeGithub, Log, Run, TOKEN};
use sentinel_tests::stack::{Programs, Server, Settings, work_folder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SECRET: &str = "current secret";
const OLD_SECRET: &str = "secret before the rotation";
const KEY: &str = "api key of the tests";
const DATABASE_TOKEN: &str = "database token of the tests";

struct World {
    programs: Programs,
    github: FakeGithub,
    folder: PathBuf,
    database: Mutex<Option<Server>>,
    database_port: u16,
    worker: Server,
    node: Mutex<Option<Server>>,
    node_port: u16,
    next: AtomicU64,
}

/// Needs `SENTINEL_RECORDS`, the folder of train.jsonl and train_more.jsonl, and `SENTINEL_PYTHON`.
const LEARNS: &str = "a_correction_on_the_page_becomes_the_models_answer";

type Outcome = Result<(), Failed>;
type Test = fn(&World) -> Outcome;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        libtest_mimic::run(&arguments, trials(&Arc::new(None))).exit();
    }
    let world =
        Arc::new(Some(World::start().unwrap_or_else(|error| panic!("the stack did not start: {error:#}"))));
    let conclusion = libtest_mimic::run(&arguments, trials(&world));
    if conclusion.has_failed()
        && let Some(world) = world.as_ref()
    {
        let log = world.worker.log();
        let said: Vec<&str> = log.lines().filter(|line| !line.contains("[wrangler:info]")).collect();
        eprintln!("the worker said:\n{}", said.join("\n"));
    }
    // Dropped before the exit, so that the servers stop.
    drop(world);
    conclusion.exit();
}

fn trials(world: &Arc<Option<World>>) -> Vec<Trial> {
    let all: Vec<(&str, Test)> = vec![
        ("a_failed_run_is_classified_from_its_log_and_shown_in_the_history", classified_from_log),
        ("without_waiting_a_delivery_is_accepted_and_its_location_leads_to_the_verdict", accepted_then_done),
        ("recorded_job_and_check_deliveries_share_one_verdict_a_job", recorded_payloads),
        ("a_replayed_delivery_is_stored_once", replayed),
        ("a_second_delivery_about_the_same_attempt_adds_no_second_verdict", same_attempt_twice),
        ("a_form_encoded_delivery_is_accepted", form_encoded),
        ("legal_nulls_are_accepted", legal_nulls),
        ("what_is_not_ours_is_ignored_with_its_reason_and_not_stored", ignored),
        (
            "a_wrong_missing_or_unreadable_signature_is_refused_and_the_previous_secret_still_works",
            signatures,
        ),
        ("what_cannot_be_understood_is_refused_and_not_stored", not_understood),
        ("a_chunked_body_over_the_cap_is_refused_while_it_streams", chunked_over_cap),
        ("a_two_megabyte_field_is_cut_and_not_lost", huge_field),
        ("a_log_that_is_gone_huge_binary_or_elsewhere_still_gives_a_verdict", odd_logs),
        ("the_log_host_never_sees_our_token_and_the_right_attempt_is_asked_for", evidence_calls),
        ("while_github_is_down_a_delivery_waits_and_the_sweep_finishes_it", github_down),
        ("a_limit_a_refused_token_and_an_outage_are_waited_for_and_no_try", evidence::limits_are_waited_for),
        ("while_github_is_down_no_try_is_used_up", evidence::outages_use_up_no_try),
        (
            "a_refused_token_is_told_with_its_time_and_what_waited_goes_on_when_it_is_accepted_again",
            evidence::refused_token_is_told,
        ),
        ("after_three_days_a_log_is_given_up_and_that_is_said", evidence::given_up_after_three_days),
        ("a_delivery_that_was_given_up_is_worked_on_again_when_it_is_redelivered", evidence::redelivered),
        ("the_next_failed_job_is_read_where_the_first_has_no_log", evidence::next_failed_job),
        ("of_a_run_of_over_300_jobs_it_is_said_that_the_first_were_looked_at", evidence::many_jobs),
        ("the_end_of_a_log_is_read_however_it_is_sent", evidence::ends_of_logs),
        ("an_address_of_a_log_that_is_over_is_asked_for_anew_once", evidence::address_that_is_over),
        (
            "of_a_run_with_many_failed_jobs_twenty_logs_are_read_within_the_calls_of_an_event",
            runs::twenty_logs,
        ),
        (
            "a_cancelled_run_is_told_where_a_limit_a_lost_runner_or_a_failed_job_is_named_and_else_not",
            runs::cancelled,
        ),
        ("a_job_that_met_its_limit_comes_before_what_failed_because_of_it", runs::limit_before_gate),
        ("each_failed_job_of_a_matrix_has_a_verdict_and_the_run_is_told_by_one_of_them", runs::matrix),
        ("a_delivery_about_a_job_and_one_about_its_run_meet_in_one_row_whichever_comes_first", runs::one_row),
        ("a_run_that_passed_is_remembered_however_often_it_is_told", runs::passed),
        ("of_a_run_that_could_not_start_the_delivery_alone_tells", runs::startup_failure),
        ("a_sweep_takes_up_what_it_can_do_and_asks_once_while_github_is_slow", evidence::sweep_is_bounded),
        ("a_log_of_a_repository_that_was_renamed_is_read_at_its_new_name", evidence::renamed),
        ("a_location_leads_to_the_verdict_of_any_repository_that_github_allows", evidence::locations),
        ("one_installation_over_its_rate_is_told_when_to_retry_and_another_is_served", rate_limited),
        ("the_api_is_closed_without_its_key", api_key),
        ("every_route_refuses_every_kind_of_key_that_does_not_suffice", access::insufficient_keys),
        ("what_a_call_lacks_is_named_for_what_it_is", access::what_is_missing),
        ("a_key_is_kept_as_a_hash_does_what_its_role_may_and_ends_when_it_is_revoked", access::keys),
        ("wrong_keys_are_counted_before_they_cost_anything_and_buckets_go_by_key", access::wrong_keys),
        ("an_uninstalled_app_leaves_no_key_that_opens_and_no_job_that_waits", access::uninstalled),
        ("a_browser_signs_in_with_a_cookie_that_no_script_reads_and_no_other_site_sends", access::sessions),
        ("a_world_of_one_failure_is_drift_and_the_badge_heatmap_and_report_agree", drift),
        ("a_correction_is_stored_once_attributed_and_counted", feedback),
        ("a_schema_that_lacks_a_column_is_brought_up_to_date_by_the_question_that_needs_it", old_schema),
        (
            "a_verdict_without_its_log_is_told_after_a_while_made_again_and_counted_once",
            evidence::told_meanwhile_and_made_again,
        ),
        ("a_log_a_record_or_telemetry_can_be_classified_on_demand", classify_on_demand),
        ("the_worker_agrees_with_the_python_reference", parity),
        ("a_signed_model_is_promoted_and_rolled_back_without_a_redeploy", models),
        ("a_model_that_does_not_check_out_is_refused_and_the_one_in_use_goes_on", refused_models),
        ("a_pull_request_becomes_one_review_however_often_it_is_delivered", reviews::one_review),
        ("while_the_node_is_away_a_pull_request_waits_and_the_sweep_submits_it", reviews::node_away),
        (
            "while_github_is_away_pull_requests_wait_the_page_says_so_and_they_are_reviewed_afterwards",
            reviews::github_away,
        ),
        ("commands_are_obeyed_from_people_who_may_write", reviews::commands),
        ("a_worker_that_dies_at_any_moment_loses_no_pull_request_and_doubles_none", reviews::worker_dies),
        ("a_verdict_is_published_where_the_team_reads_it", reviews::verdict_published),
        (LEARNS, learns),
        ("the_metrics_count_what_was_stored", metrics),
        ("an_assistant_analyses_a_log_reviews_a_diff_and_corrects_a_verdict_over_stdio", mcp::over_stdio),
        ("over_http_an_assistant_needs_the_token_and_gets_the_same_answers", mcp::over_http),
        ("the_failures_command_lists_causes_and_tells_one", mcp::failures_command),
        ("reports_of_tests_tell_how_often_a_test_fails_however_often_they_are_sent", reports::rates_are_told),
        ("a_report_with_a_bomb_a_dtd_or_too_much_is_refused_and_not_stored", reports::refused),
        ("a_report_is_taken_from_the_team_whose_repository_it_is_about", reports::of_tenants),
        ("the_reports_command_and_the_action_send_what_runners_wrote", reports::sent_by_programs),
        ("the_overview_tells_how_often_a_flaky_test_fails_in_a_browser", reports::in_a_browser),
        ("every_alert_fires_and_clears_under_promtool", monitoring::rules_fire_and_clear),
        (
            "every_panel_is_answered_by_a_prometheus_that_scraped_the_stack_and_an_alert_fires_and_clears",
            monitoring::every_panel_answers,
        ),
        ("a_repository_is_forgotten_when_its_people_ask_and_everything_is_after_a_year", access::forgotten),
        ("the_app_is_made_from_a_manifest_and_its_secrets_are_shown_once", access::app_is_made),
        ("doctor_finds_a_sound_deployment_sound_and_says_what_is_broken", access::doctor),
        ("the_api_answers_as_its_description_says_whatever_it_is_asked", access::described),
        ("of_two_teams_no_answer_to_one_holds_a_row_of_the_other", access::isolated),
        ("a_known_issue_is_told_with_its_advice_and_one_that_is_too_wide_is_refused", known::matched),
        ("a_run_is_tried_again_once_however_often_it_is_delivered", known::tried_again),
        (
            "a_failure_is_matched_with_the_change_of_its_pull_request_and_with_the_owners_of_its_files",
            change::related,
        ),
        ("failures_with_one_cause_are_one_row_that_leads_to_their_runs_in_a_browser", causes::in_a_browser),
        ("a_teams_day_of_sixty_deliveries_ends_in_the_causes_that_were_written_down", day::of_a_team),
        ("every_page_of_the_dashboard_works_and_is_accessible_in_a_browser", dashboard_in_chromium),
        ("while_the_database_is_down_a_delivery_is_refused_and_its_redelivery_is_stored_once", database_down),
        ("without_secrets_everything_that_needs_them_is_closed", secrets_unset),
    ];
    // A browser is the one thing a fresh machine may lack; where CI runs, its absence is a failure.
    let no_browser = std::env::var_os("CHROMIUM").is_none() && std::env::var_os("CI").is_none();
    let no_prometheus = std::env::var_os("PROMTOOL").is_none() && std::env::var_os("CI").is_none();
    // Most labelled records may not be copied into the repository, and fitting needs Python's packages.
    let no_records = std::env::var_os("SENTINEL_RECORDS").is_none();
    all.into_iter()
        .map(|(name, test)| {
            let world = Arc::clone(world);
            let trial = move || {
                let world = world.as_ref().as_ref().expect("trials run on a stack");
                world.forget_outages();
                test(world)
            };
            Trial::test(name, trial).with_ignored_flag(
                no_browser && name.ends_with("in_a_browser")
                    || no_prometheus && (name.contains("promtool") || name.contains("prometheus"))
                    || no_records && name == LEARNS,
            )
        })
        .collect()
}

// === impl World ===

impl World {
    /// An outage or a limit that one trial made would pause the node in the next, for as long as GitHub said; and what
    /// that trial left in the queue would wait beside the next one's jobs.
    fn forget_outages(&self) {
        self.github.set_weather(None);
        for sql in
            ["UPDATE review_jobs SET status = 'skipped' WHERE status = 'queued'", "DELETE FROM breakers"]
        {
            // The database may be away: then the next trial has none to forget.
            let _ = database_call(self, sql);
        }
    }

    fn start() -> anyhow::Result<Self> {
        let programs = Programs::from_env()?;
        let github = FakeGithub::start();
        let folder = work_folder("edge-test")?;
        let database_port = sentinel_tests::stack::free_port()?;
        let database = programs.start_database(&folder.join("sentinel.db"), database_port, DATABASE_TOKEN)?;
        let node_port = sentinel_tests::stack::free_port()?;
        let mut settings = Settings { vars: vars(&github, &database.url), ..Settings::default() };
        settings.vars.extend(reviews::node_settings(node_port));
        let node = reviews::start_node(&programs, &folder, node_port, &github, &database.url)?;
        let worker = programs.start_worker(&folder.join("worker"), &settings)?;
        Ok(Self {
            programs,
            github,
            folder,
            database: Mutex::new(Some(database)),
            database_port,
            worker,
            node: Mutex::new(Some(node)),
            node_port,
            next: AtomicU64::new(1000),
        })
    }

    fn id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A failed run of its own repository and installation, which GitHub knows with this log.
    fn failed_run(&self, log: Option<Log>) -> Value {
        self.failed_run_in(&format!("acme/project-{}", self.id()), log)
    }

    fn failed_run_in(&self, repository: &str, log: Option<Log>) -> Value {
        let id = self.id();
        let job = id + 1_000_000;
        self.github.add(Run {
            repository: repository.to_owned(),
            run_id: id,
            attempt: 2,
            jobs: json!({ "total_count": 2, "jobs": [
                { "id": 1, "name": "lint", "conclusion": "success", "steps": [] },
                { "id": job, "name": "unit", "conclusion": "failure", "labels": ["ubuntu-latest"],
                  "html_url": "https://github.com/acme/job",
                  "steps": [{ "name": "Run tests", "conclusion": "failure",
                    "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:01:40Z" }] },
            ] }),
            logs: log.into_iter().map(|log| (job, log)).collect(),
        });
        json!({
            "action": "completed",
            "repository": { "full_name": repository },
            "installation": { "id": id },
            "sender": { "login": "octocat" },
            "workflow_run": {
                "id": id, "name": "CI", "run_attempt": 2, "conclusion": "failure", "head_sha": "f".repeat(40),
                "html_url": "https://github.com/acme/run", "run_started_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:02:00Z", "actor": { "login": "octocat" },
            },
        })
    }

    fn delivery(&self, payload: &Value) -> Delivery {
        Delivery::signed("workflow_run", &format!("delivery-{}", self.id()), payload, SECRET)
    }

    fn post(&self, delivery: &Delivery) -> anyhow::Result<Answer> {
        delivery.post(&self.worker.url)
    }

    fn get(&self, path: &str) -> anyhow::Result<Answer> {
        deliver::get(&self.worker.url, path, Some(KEY))
    }

    fn inferences(&self) -> anyhow::Result<u64> {
        Ok(self.get("/api/dashboard")?.body["inference_count"].as_u64().unwrap_or_default())
    }

    /// Posts a delivery that must be refused with `status`, leaving nothing stored.
    fn refused(&self, delivery: &Delivery, status: u16) -> Outcome {
        let before = self.inferences()?;
        let answer = self.post(delivery)?;
        same(&answer.status, &status, &answer.body)?;
        same(&answer.content_type.as_str(), &"application/problem+json", &answer.body)?;
        same(&answer.body["status"], &json!(status), &"the problem document")?;
        same(&self.inferences()?, &before, &"inferences")
    }
}

impl World {
    /// The status of a POST with this framing header and so many pieces of 64 KiB, over a plain socket: an HTTP
    /// client would go on sending where the server has already answered.
    fn raw_status(&self, path: &str, framing: &str, chunks: usize) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.worker.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: worker\r\nx-api-key: {KEY}\r\ncontent-type: text/plain\r\n{framing}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let piece = [b'x'; 0x10000];
        let chunk = match framing.starts_with("transfer-encoding") {
            true => [b"10000\r\n".as_slice(), &piece, b"\r\n"].concat(),
            false => piece.to_vec(),
        };
        for _ in 0..chunks {
            // The server may answer and close before it has been sent everything.
            if stream.write_all(&chunk).is_err() {
                break;
            }
        }
        if framing.starts_with("transfer-encoding") {
            let _ = stream.write_all(b"0\r\n\r\n");
        }
        let mut answer = vec![0; 64];
        let length = stream.read(&mut answer)?;
        let status =
            String::from_utf8_lossy(&answer[..length]).split(' ').nth(1).unwrap_or_default().to_owned();
        Ok(status)
    }
}

fn vars(github: &FakeGithub, database: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SENTINEL_WEBHOOK_SECRET", SECRET.to_owned()),
        ("SENTINEL_WEBHOOK_SECRET_PREVIOUS", OLD_SECRET.to_owned()),
        ("SENTINEL_API_KEY", KEY.to_owned()),
        ("TURSO_DATABASE_URL", database.to_owned()),
        ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
        ("SENTINEL_MODEL_PUBLIC_KEYS", key(1).public()),
        ("GITHUB_TOKEN", TOKEN.to_owned()),
        ("GITHUB_API_URL", github.api_url()),
        ("GITHUB_LOG_HOSTS", github.log_host()),
    ]
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T, about: &impl std::fmt::Debug) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, found {found:?}: {about:?}").into())
    }
}

fn text_log(lines: &str) -> Option<Log> {
    Some(Log::Bytes(lines.as_bytes().to_vec()))
}

const PYTEST_LOG: &str = "2026-01-01T00:00:00.0000000Z ##[group]Run pytest\n2026-01-01T00:00:01.0000000Z ##[endgroup]\n\
    2026-01-01T00:00:02.0000000Z =========================== short test summary info ===========================\n\
    2026-01-01T00:00:02.0000000Z FAILED tests/test_money.py::test_round - AssertionError: assert 3 == 4\n\
    2026-01-01T00:00:02.0000000Z ========================= 1 failed, 41 passed in 2.31s =========================\n\
    2026-01-01T00:00:03.0000000Z ##[error]Process completed with exit code 1.\n";

// === the main job ===

fn classified_from_log(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG));
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.status, &200, &answer.body)?;
    let inference = &answer.body["inference"];
    same(&inference["prediction"], &json!("Test Failure"), inference)?;
    same(&inference["evidence"], &json!("log"), inference)?;
    same(&inference["step"], &json!("Run tests"), inference)?;
    same(&inference["metrics_payload"]["test_duration_sec"], &json!(100.0), inference)?;
    same(&inference["metrics_payload"]["retry_count"], &json!(1.0), inference)?;
    let line = inference["log_line"]["text"].as_str().unwrap_or_default();
    same(&line.to_lowercase().contains("failed"), &true, &line)?;
    let history = world.get("/api/history?limit=1")?;
    same(&history.body[0], inference, &"the newest row of the history")
}

fn accepted_then_done(world: &World) -> Outcome {
    let mut delivery = world.delivery(&world.failed_run(text_log(PYTEST_LOG)));
    delivery.wait = false;
    let answer = world.post(&delivery)?;
    same(&answer.status, &202, &answer.body)?;
    let location = answer.location.ok_or("a 202 says where the verdict will be")?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let verdict = world.get(&location)?;
        if verdict.status == 200 {
            return same(&verdict.body["prediction"], &json!("Test Failure"), &verdict.body);
        }
        same(&(verdict.status, Instant::now() < deadline), &(404, true), &verdict.body)?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn recorded_payloads(world: &World) -> Outcome {
    for (event, status) in [("workflow_job", 200), ("check_run", 200), ("ping", 200)] {
        let path = format!("{}/fixtures/sample/{event}.json", env!("CARGO_MANIFEST_DIR"));
        let payload: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let delivery = Delivery::signed(event, &format!("recorded-{event}"), &payload, SECRET);
        let answer = world.post(&delivery)?;
        same(&answer.status, &status, &answer.body)?;
        let expected = if event == "ping" { json!({ "msg": "pong" }) } else { json!("done") };
        same(if event == "ping" { &answer.body } else { &answer.body["status"] }, &expected, &answer.body)?;
    }
    Ok(())
}

fn replayed(world: &World) -> Outcome {
    let delivery = world.delivery(&world.failed_run(text_log(PYTEST_LOG)));
    same(&world.post(&delivery)?.status, &200, &"the first time")?;
    let stored = world.inferences()?;
    let again = world.post(&delivery)?;
    same(&(again.status, &again.body["status"]), &(200, &json!("duplicate")), &again.body)?;
    same(&world.inferences()?, &stored, &"inferences after the replay")
}

fn same_attempt_twice(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG));
    let first = world.post(&world.delivery(&payload))?;
    let stored = world.inferences()?;
    let second = world.post(&world.delivery(&payload))?;
    same(&second.body["inference"]["id"], &first.body["inference"]["id"], &second.body)?;
    same(&world.inferences()?, &stored, &"inferences")
}

fn form_encoded(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG)).to_string();
    let body: String = std::iter::once("payload=".to_owned())
        .chain(payload.bytes().map(|byte| format!("%{byte:02X}")))
        .collect();
    let mut delivery =
        Delivery::raw("workflow_run", &format!("form-{}", world.id()), body.into_bytes(), SECRET);
    delivery.content_type = "application/x-www-form-urlencoded".into();
    let answer = world.post(&delivery)?;
    same(&answer.body["inference"]["prediction"], &json!("Test Failure"), &answer.body)
}

fn legal_nulls(world: &World) -> Outcome {
    let mut payload = world.failed_run(text_log(PYTEST_LOG));
    for field in ["name", "actor", "run_attempt", "head_repository", "run_started_at"] {
        payload["workflow_run"][field] = Value::Null;
    }
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.status, &200, &answer.body)?;
    let subject = format!("run:{}:1", payload["workflow_run"]["id"]);
    same(&answer.body["inference"]["subject"], &json!(subject), &answer.body)
}

fn ignored(world: &World) -> Outcome {
    let stored = world.inferences()?;
    let failed = world.failed_run(None);
    let changed = |pointer: &str, value: Value| {
        let mut payload = failed.clone();
        *payload.pointer_mut(pointer).expect("the field is there") = value;
        payload
    };
    let cases = [
        ("workflow_run", changed("/action", json!("requested")), "not_completed"),
        ("workflow_run", changed("/workflow_run/conclusion", json!("skipped")), "not_failed"),
        ("workflow_run", changed("/workflow_run/conclusion", Value::Null), "not_failed"),
        ("star", json!({ "action": "created" }), "event_not_ours"),
        ("an_event_of_tomorrow", json!({}), "event_not_ours"),
    ];
    for (event, payload, reason) in cases {
        let answer =
            world.post(&Delivery::signed(event, &format!("ignored-{}", world.id()), &payload, SECRET))?;
        same(&answer.status, &200, &answer.body)?;
        same(&answer.body, &json!({ "status": "ignored", "reason": reason }), &event)?;
    }
    same(&world.inferences()?, &stored, &"inferences")
}

// === hostile input ===

fn signatures(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG));
    let signed_by = |secret: &str| {
        let mut delivery = world.delivery(&payload);
        delivery.signature = Some(deliver::sign(&delivery.body, secret));
        delivery
    };
    let with_header = |header: Option<&[u8]>| {
        let mut delivery = world.delivery(&payload);
        delivery.signature = header.map(<[u8]>::to_vec);
        delivery
    };
    world.refused(&with_header(None), 401)?;
    world.refused(&with_header(Some(b"sha256=00")), 401)?;
    world.refused(&with_header(Some(&[b"sha256=".as_slice(), &[b'0'; 64]].concat())), 401)?;
    world.refused(&with_header(Some("sha256=ünïcödé".as_bytes())), 401)?;
    world.refused(&with_header(Some(b"sha256=\xff\xfe")), 401)?;
    world.refused(&signed_by("a stranger's secret"), 401)?;
    let by_old = world.post(&signed_by(OLD_SECRET))?;
    same(&by_old.status, &200, &by_old.body)
}

fn not_understood(world: &World) -> Outcome {
    let raw =
        |body: &[u8]| Delivery::raw("workflow_run", &format!("bad-{}", world.id()), body.to_vec(), SECRET);
    world.refused(&raw(b"{\"action\": "), 400)?;
    world.refused(&raw(b"not json"), 400)?;
    world.refused(&raw(b"\xff\xfe\x00"), 400)?;
    let deep = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    world.refused(&raw(format!("{{\"action\": {deep}}}").as_bytes()), 400)?;
    world.refused(&raw(b"{\"action\": \"completed\"}"), 422)?;
    world.refused(&raw(b"{\"action\": \"completed\", \"repository\": {\"full_name\": \"o/r\"}}"), 422)?;
    world.refused(&raw(b"{}"), 422)?;
    let mut typed = raw(b"{}");
    typed.content_type = "text/xml".into();
    world.refused(&typed, 415)?;
    let mut unnamed = raw(b"{}");
    unnamed.id = String::new();
    world.refused(&unnamed, 400)?;
    let mut form = raw(b"other=1");
    form.content_type = "application/x-www-form-urlencoded".into();
    world.refused(&form, 422)?;
    // Nesting in a field nobody reads is skipped, not refused.
    let mut payload = world.failed_run(text_log(PYTEST_LOG)).to_string();
    payload.insert_str(1, &format!("\"unread\": {deep},"));
    let answer = world.post(&raw(payload.as_bytes()))?;
    same(&answer.status, &200, &answer.body)
}

fn chunked_over_cap(world: &World) -> Outcome {
    let stored = world.inferences()?;
    let chunked = world.raw_status("/webhook/github", "transfer-encoding: chunked", 48)?;
    same(&chunked.as_str(), &"413", &"a chunked body of 3 MB")?;
    let announced = world.raw_status("/webhook/github", "content-length: 3145728", 48)?;
    same(&announced.as_str(), &"413", &"an announced body of 3 MB")?;
    same(&world.inferences()?, &stored, &"inferences")
}

fn huge_field(world: &World) -> Outcome {
    let mut payload = world.failed_run(text_log(PYTEST_LOG));
    payload["workflow_run"]["name"] = json!("n".repeat(2_000_000));
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.status, &200, &"a delivery with a 2 MB name")?;
    let name = answer.body["inference"]["workflow"].as_str().map(str::len);
    same(&name, &Some(256), &"the stored name's length")
}

fn odd_logs(world: &World) -> Outcome {
    let cases = [
        ("gone", Some(Log::Missing), "job"),
        ("unknown", None, "job"),
        ("binary", Some(Log::Bytes([0u8, 1, 2, 255, 254, 10].repeat(20_000))), "job"),
        ("elsewhere", Some(Log::RedirectTo("https://evil.example/logs/1".into())), "job"),
        ("on this machine", Some(Log::RedirectTo("http://127.0.0.1:1/logs".into())), "job"),
        ("200 MB", Some(Log::Huge(200_000_000)), "log"),
        ("empty", Some(Log::Bytes(Vec::new())), "log"),
    ];
    for (name, log, evidence) in cases {
        let answer = world.post(&world.delivery(&world.failed_run(log)))?;
        same(&answer.status, &200, &(name, &answer.body))?;
        let inference = &answer.body["inference"];
        same(&inference["evidence"], &json!(evidence), &(name, inference))?;
        if name == "200 MB" {
            same(&inference["prediction"], &json!("Resource Exhaustion"), inference)?;
            // Only the tail was read, so the line's number is not known, and not made up.
            same(&inference["log_line"]["number"], &json!(0), inference)?;
        }
    }
    Ok(())
}

fn evidence_calls(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG));
    let before = world.github.calls().len();
    world.post(&world.delivery(&payload))?;
    let id = payload["workflow_run"]["id"].as_u64().unwrap_or_default();
    let job = id + 1_000_000;
    // The fake's storage refuses an Authorization, so a verdict from the log proves there was none.
    let expected = [format!("jobs {id} 2"), format!("logs {job}"), format!("blob {job}")];
    let (files, calls): (Vec<_>, Vec<_>) =
        world.github.calls()[before..].iter().cloned().partition(|call| call.starts_with("file "));
    same(&calls, &expected.to_vec(), &"the calls to GitHub")?;
    // Beside the log and after it; the log names a test's file.
    let asked = [".github/sentinel.yml", ".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
    same(
        &files,
        &asked.map(|path| format!("file {path}")).to_vec(),
        &"the policy, and the owners of the files",
    )
}

fn github_down(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG));
    let delivery = world.delivery(&payload);
    world.github.set_down(true);
    let answer = world.post(&delivery);
    world.github.set_down(false);
    same(&answer?.status, &202, &"a delivery while GitHub is down")?;
    // As if the lease had run out; nothing else may touch the row.
    let connection = database_call(
        world,
        &format!("UPDATE deliveries SET lease_until = 0 WHERE id = '{}' AND status = 'queued'", delivery.id),
    )?;
    same(&connection["affected_row_count"], &json!(1), &connection)?;
    deliver::get(&world.worker.url, "/__scheduled", None)?;
    let subject = format!("run:{}:2", payload["workflow_run"]["id"]);
    let repository = payload["repository"]["full_name"].as_str().unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let verdict = world.get(&format!("/api/inference?repository={repository}&subject={subject}"))?;
        if verdict.status == 200 {
            return same(&verdict.body["evidence"], &json!("log"), &verdict.body);
        }
        same(&(Instant::now() < deadline), &true, &"the sweep finishes the delivery")?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn rate_limited(world: &World) -> Outcome {
    let mut limited = None;
    let payload = world.failed_run(text_log(PYTEST_LOG));
    // The limiter's windows are minutes of the clock: these take seconds, so they fall into two at most.
    for _ in 0..(2 * 60 + 1) {
        let answer = world.post(&world.delivery(&payload))?;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        same(&answer.status, &200, &answer.body)?;
    }
    let limited = limited.ok_or("121 deliveries in seconds are over 60 a minute")?;
    same(&limited.body["title"], &json!("resource_exhausted"), &limited.body)?;
    let other = world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?;
    same(&other.status, &200, &other.body)
}

// === the API ===

fn api_key(world: &World) -> Outcome {
    for path in ["/api/dashboard", "/api/history", "/api/drift", "/api/psi", "/api/registry", "/metrics"] {
        for key in [None, Some(""), Some("wrong")] {
            let answer = deliver::get(&world.worker.url, path, key)?;
            same(&answer.status, &403, &(path, key))?;
        }
        same(&world.get(path)?.status, &200, &path)?;
    }
    let page = deliver::get(&world.worker.url, "/", None)?;
    same(&page.status, &200, &"the page is open")?;
    let text = page.body.as_str().unwrap_or_default();
    same(&text.contains("acme/"), &false, &"the page holds no data")?;
    same(&deliver::get(&world.worker.url, "/nothing", None)?.status, &404, &"an unknown path")?;
    for limit in ["0", "1001", "-1", "x"] {
        same(&world.get(&format!("/api/history?limit={limit}"))?.status, &400, &limit)?;
    }
    let report = world.get("/api/drift")?.body;
    let expected =
        if report["sample_size"].as_u64() < Some(100) { "insufficient_data" } else { "Drift Detected" };
    same(&report["status"], &json!(expected), &report)
}

fn old_schema(world: &World) -> Outcome {
    let before = world.get("/api/feedback")?;
    for sql in [
        "ALTER TABLE feedback DROP COLUMN installation_id",
        "DELETE FROM schema_migrations WHERE version = 9",
    ] {
        same(&database_call(world, sql)?.is_object(), &true, &sql)?;
    }
    let answer = world.get("/api/feedback")?;
    same(&(answer.status, answer.body), &(200, before.body), &"feedback")?;
    let versions = "SELECT COUNT(*) FROM schema_migrations WHERE version = 9";
    same(&database_call(world, versions)?["rows"][0][0]["value"], &json!("1"), &versions)
}

fn feedback(world: &World) -> Outcome {
    let key_of = |name: &str| -> Result<String, Failed> {
        let body = json!({ "name": name, "role": "read" }).to_string();
        let made = deliver::post(&world.worker.url, "/api/keys", KEY, "application/json", body.as_bytes())?;
        Ok(made.body["key"].as_str().unwrap_or_default().to_owned())
    };
    // Who says it is the key's holder, whatever the body claims.
    let (mona, hubot) = (key_of("mona")?, key_of("hubot")?);
    let post = |body: Value| {
        let key = if body["author"] == json!("hubot") { &hubot } else { &mona };
        let body = body.to_string().replace("mona", "somebody else").replace("hubot", "somebody else");
        deliver::post(&world.worker.url, "/api/feedback", key, "application/json", body.as_bytes())
    };
    let inference =
        world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?.body["inference"].clone();
    let correction = |class: &str, author: &str| json!({ "inference_id": inference["id"], "corrected_class": class, "author": author });
    let first = post(correction("Network Error", "mona"))?;
    same(&first.status, &201, &first.body)?;
    same(&first.body["feedback"]["original_pred"], &inference["prediction"], &first.body)?;
    same(&post(correction("Network Error", "mona"))?.status, &200, &"said again")?;
    same(&post(correction("Network Error", "hubot"))?.status, &201, &"another person")?;
    same(&post(correction("Timeout", "mona"))?.status, &201, &"another mind")?;
    same(&post(correction("Network Error", "mona"))?.status, &201, &"back again")?;
    let audit = world.get("/api/feedback?limit=4")?.body;
    let said: Vec<_> = audit
        .as_array()
        .ok_or("audit")?
        .iter()
        .map(|row| (row["author_id"].as_str(), row["corrected_label"].as_str()))
        .collect();
    let expected = [
        ("mona", "Network Error"),
        ("mona", "Timeout"),
        ("hubot", "Network Error"),
        ("mona", "Network Error"),
    ];
    same(&said, &expected.map(|(author, class)| (Some(author), Some(class))).to_vec(), &"newest first")?;
    let stats = world.get("/api/feedback/stats")?.body;
    same(
        &stats,
        &json!({ "total_records": 4, "unique_authors": 2, "correction_rate": 1.0, "label_distribution": { "Network Error": 3, "Timeout": 1 }, "findings": {} }),
        &"stats",
    )?;
    same(&world.get("/api/dashboard")?.body["feedback_count"], &json!(4), &"the card")?;
    let id = inference["id"].as_i64().ok_or("id")?;
    same(
        &world.get(&format!("/api/inference?id={id}"))?.body["corrected"],
        &json!("Network Error"),
        &"the last word",
    )?;
    same(
        &post(json!({ "inference_id": 999_999, "corrected_class": "Timeout", "author": "mona" }))?.status,
        &404,
        &"no such inference",
    )?;
    same(&post(correction("Nonsense", "mona"))?.status, &400, &"no such class")?;
    same(&post(json!({ "corrected_class": "Timeout", "author": "mona" }))?.status, &422, &"no inference")?;
    let closed = deliver::post(&world.worker.url, "/api/feedback", "wrong", "application/json", b"{}")?;
    same(&closed.status, &403, &"without the key")
}

// === the registry ===

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// The shipped model under another version, sure of everything.
fn other_model(version: &str) -> ModelBundle {
    let mut bundle = failure_model::load(None).expect("the shipped model loads");
    bundle.manifest.model_version = version.to_owned();
    bundle.manifest.calibration.temperature = 0.01;
    bundle
}

fn models(world: &World) -> Outcome {
    let file = world.folder.join("model.signed");
    std::fs::write(&file, key(1).sign(&other_model("lgbm_v9.1").to_bytes()))?;
    let sentinel = |arguments: &[&str]| -> Result<Value, Failed> {
        let output = Command::new(&world.programs.sentinel)
            .arg("model")
            .args(arguments)
            .env("SENTINEL_URL", &world.worker.url)
            .env("SENTINEL_API_KEY", KEY)
            .env("SENTINEL_MODEL_PUBLIC_KEYS", key(1).public())
            .output()?;
        same(&output.status.success(), &true, &String::from_utf8_lossy(&output.stderr))?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let path = file.display().to_string();
    let verdict = || -> Result<Value, Failed> {
        let answer = world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?;
        Ok(answer.body["inference"].clone())
    };
    let shipped = verdict()?["model_version"].clone();
    same(&sentinel(&["verify", &path])?["model_version"], &json!("lgbm_v9.1"), &"verify")?;
    same(&sentinel(&["push", &path])?["model_version"], &json!("lgbm_v9.1"), &"push")?;
    same(&verdict()?["model_version"], &shipped, &"a candidate does not serve")?;
    let registry = sentinel(&["registry"])?;
    same(&registry["models"][0]["status"], &json!("candidate"), &registry)?;
    same(&registry["models"][0]["uploaded_by"], &json!("operator"), &registry)?;

    same(&sentinel(&["promote", "lgbm_v9.1"])?["changed"], &json!(true), &"promote")?;
    let promoted = verdict()?;
    same(&promoted["model_version"], &json!("lgbm_v9.1"), &promoted)?;
    same(&(promoted["confidence"].as_f64() > Some(0.99)), &true, &promoted)?;
    let health = deliver::get(&world.worker.url, "/health", None)?.body;
    same(&health["model_source"], &json!("registry"), &health)?;
    same(&world.get("/api/registry")?.body["models"][0]["status"], &json!("active"), &"active")?;
    same(&sentinel(&["promote", "lgbm_v9.1"])?["changed"], &json!(false), &"promoted already")?;
    replayed_by_the_cli(world, &promoted)?;

    same(&sentinel(&["rollback"])?["model_version"], &shipped, &"rollback")?;
    same(&verdict()?["model_version"], &shipped, &"what served before")?;
    let registry = world.get("/api/registry")?.body;
    same(&registry["models"][0]["status"], &json!("retired"), &registry)?;
    let changes: Vec<_> = registry["activations"]
        .as_array()
        .ok_or("activations")?
        .iter()
        .map(|change| change["action"].as_str())
        .collect();
    same(&changes, &vec![Some("rollback"), Some("promote")], &registry)?;
    rolled_back_twice(world, &sentinel, &shipped)?;
    renamed_row(world, &sentinel)
}

/// Two promotions, and two rollbacks that lead back under both of them; a third has nothing to take back.
fn rolled_back_twice(
    world: &World,
    sentinel: &impl Fn(&[&str]) -> Result<Value, Failed>,
    shipped: &Value,
) -> Outcome {
    let file = world.folder.join("second.signed");
    std::fs::write(&file, key(1).sign(&other_model("lgbm_v9.5").to_bytes()))?;
    sentinel(&["push", &file.display().to_string()])?;
    for version in ["lgbm_v9.1", "lgbm_v9.5"] {
        same(&sentinel(&["promote", version])?["changed"], &json!(true), &version)?;
    }
    same(&sentinel(&["rollback"])?["model_version"], &json!("lgbm_v9.1"), &"once")?;
    same(&sentinel(&["rollback"])?["model_version"], shipped, &"twice")?;
    let body = br#"{"author":"mona"}"#;
    let third =
        deliver::post(&world.worker.url, "/api/models/rollback", KEY, "application/json", body.as_slice())?;
    same(&third.status, &400, &third.body)?;
    same(&third.body["detail"].to_string().contains("nothing before it"), &true, &third.body)
}

/// A row of the registry is not signed: it can't give an old bundle a newer name.
fn renamed_row(world: &World, sentinel: &impl Fn(&[&str]) -> Result<Value, Failed>) -> Outcome {
    database_call(
        world,
        "INSERT INTO models SELECT 'lgbm_v9.9', digest, manifest, uploaded_by, uploaded_at FROM models WHERE version = 'lgbm_v9.1'",
    )?;
    let body = br#"{"version":"lgbm_v9.9","author":"mona"}"#;
    let promoted =
        deliver::post(&world.worker.url, "/api/models/promote", KEY, "application/json", body.as_slice())?;
    same(&promoted.status, &422, &promoted.body)?;
    same(&promoted.body["detail"].to_string().contains("says lgbm_v9.1"), &true, &promoted.body)?;
    // Whoever writes the row of what serves as well gets the model no further.
    database_call(
        world,
        "INSERT INTO activations (version, previous, action, author, at) VALUES ('lgbm_v9.9', NULL, 'promote', 'x', 0)",
    )?;
    let answer = world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?;
    same(&(answer.body["inference"]["model_version"] == json!("lgbm_v9.9")), &false, &answer.body)?;
    let health = deliver::get(&world.worker.url, "/health", None)?.body;
    same(&health["model_refused"]["version"], &json!("lgbm_v9.9"), &health)?;
    sentinel(&["rollback"])?;
    database_call(world, "DELETE FROM models WHERE version = 'lgbm_v9.9'")?;
    Ok(())
}

/// The one verdict of the other model is what the replay finds again; the shipped model's may differ.
fn replayed_by_the_cli(world: &World, promoted: &Value) -> Outcome {
    let output = Command::new(&world.programs.sentinel)
        .args(["replay", "--since", "1h", "--model", "lgbm_v9.1", "--json", "--url", &world.worker.url])
        .env("SENTINEL_API_KEY", KEY)
        .env("SENTINEL_MODEL_PUBLIC_KEYS", key(1).public())
        .output()?;
    same(&output.status.success(), &true, &String::from_utf8_lossy(&output.stderr))?;
    let diff: Value = serde_json::from_slice(&output.stdout)?;
    let replayed = diff["replayed"].as_u64().ok_or("replayed")?;
    same(&Some(replayed), &world.get("/api/dashboard")?.body["inference_count"].as_u64(), &diff)?;
    let changed = diff["changed"].as_array().ok_or("changed")?;
    // The other model is sure of everything: what was Unknown is a class now, and its own verdict stands.
    same(&changed.iter().any(|change| change["stored"] == json!("Unknown")), &true, &diff)?;
    same(&changed.iter().any(|change| change["id"] == promoted["id"]), &false, &diff)?;
    same(&(diff["corrected"].as_u64() >= Some(1)), &true, &diff)
}

/// Wrong verdict → correction in a browser → retrain → candidate → promote → the same log is understood.
fn learns(world: &World) -> Outcome {
    const LOG: &str = "2026-01-01T00:00:00.0000000Z ##[group]Run gate\n2026-01-01T00:00:01.0000000Z ##[endgroup]\n\
        2026-01-01T00:00:02.0000000Z cherwell ticket CHG004711 is not in state implement\n\
        2026-01-01T00:00:02.0000000Z freeze calendar: quarter end\n\
        2026-01-01T00:00:03.0000000Z ##[error]release gate refused the window\n";
    const COUNT: usize = 12;
    let setting = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let (records, python, chromium) =
        (setting("SENTINEL_RECORDS")?, setting("SENTINEL_PYTHON")?, setting("CHROMIUM")?);
    let mut verdict = Value::Null;
    for _ in 0..COUNT {
        verdict = world.post(&world.delivery(&world.failed_run(text_log(LOG))))?.body["inference"].clone();
    }
    same(&(verdict["prediction"] != json!("Deployment Failure")), &true, &verdict)?;
    let ran = |command: &mut Command| -> Outcome {
        let output = command.output()?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        same(&output.status.success(), &true, &said)
    };
    ran(Command::new("node")
        .arg(format!("{}/js/correct.mjs", env!("CARGO_MANIFEST_DIR")))
        .args([&world.worker.url, KEY, &chromium])
        .arg(&world.programs.tools)
        .args(["Deployment Failure", &COUNT.to_string()]))?;
    let key_file = world.folder.join("model.key");
    std::fs::write(&key_file, format!("{}\n", "01".repeat(32)))?;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sentinel = || {
        let mut command = Command::new(&world.programs.sentinel);
        command.current_dir(&root).env("SENTINEL_URL", &world.worker.url).env("SENTINEL_API_KEY", KEY);
        command.env("SENTINEL_MODEL_PUBLIC_KEYS", key(1).public());
        command
    };
    ran(sentinel()
        .args(["retrain", "--data", &records, "--python", &python, "--key"])
        .arg(&key_file)
        .arg("--out")
        .arg(world.folder.join("candidate")))?;
    let candidate = world.get("/api/registry")?.body["models"][0].clone();
    same(&candidate["status"], &json!("candidate"), &candidate)?;
    let version = candidate["model_version"].as_str().ok_or("version")?;
    ran(sentinel().args(["replay", "--since", "1h", "--model", version]))?;
    ran(sentinel().args(["model", "promote", version]))?;
    let verdict = world.post(&world.delivery(&world.failed_run(text_log(LOG))))?.body["inference"].clone();
    same(&verdict["prediction"], &json!("Deployment Failure"), &verdict)?;
    same(&verdict["model_version"], &json!(version), &verdict)?;
    ran(sentinel().args(["model", "rollback"]))
}

fn refused_models(world: &World) -> Outcome {
    let push = |bytes: &[u8], author: &str| {
        deliver::post(
            &world.worker.url,
            &format!("/api/models?author={author}"),
            KEY,
            "application/octet-stream",
            bytes,
        )
    };
    let bundle = other_model("lgbm_v9.2").to_bytes();
    let signed = key(1).sign(&bundle);
    let mut tampered = signed.clone();
    *tampered.last_mut().ok_or("empty")? ^= 1;
    let mut reordered = other_model("lgbm_v9.3");
    reordered.manifest.feature_order.swap(0, 1);
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("tampered", tampered, "signature does not fit"),
        ("another key", key(2).sign(&bundle), "not trusted"),
        ("wrong feature order", key(1).sign(&reordered.to_bytes()), "feature order"),
        ("truncated", signed[..signed.len() / 2].to_vec(), "signature does not fit"),
        ("truncated and signed", key(1).sign(&bundle[..bundle.len() / 2]), "digest does not match"),
        ("not signed", bundle.clone(), "not signed in this format"),
    ];
    for (name, bytes, reason) in cases {
        let answer = push(&bytes, "mona")?;
        same(&answer.status, &422, &(name, &answer.body))?;
        same(&answer.body["detail"].as_str().unwrap_or_default().contains(reason), &true, &answer.body)?;
    }
    same(&push(&vec![0; 9 * 1024 * 1024], "mona")?.status, &413, &"too large")?;
    let without_key = deliver::post(
        &world.worker.url,
        "/api/models?author=x",
        "wrong",
        "application/octet-stream",
        &signed,
    )?;
    same(&without_key.status, &403, &"without the API key")?;
    let promote = |version: &str| {
        let body = json!({ "version": version, "author": "mona" }).to_string();
        deliver::post(&world.worker.url, "/api/models/promote", KEY, "application/json", body.as_bytes())
    };
    same(&promote("lgbm_v9.2")?.status, &404, &"never uploaded")?;
    same(&push(&signed, "mona")?.status, &201, &"the good one")?;
    let registry = world.get("/api/registry")?.body;
    let uploaded = registry["models"].as_array().into_iter().flatten();
    let by = uploaded
        .filter(|model| model["model_version"] == json!("lgbm_v9.2"))
        .map(|model| &model["uploaded_by"]);
    same(&by.collect::<Vec<_>>(), &vec![&json!("operator")], &"the key's holder, whatever the call says")?;
    same(&push(&signed, "mona")?.status, &200, &"again")?;
    let mut other = other_model("lgbm_v9.2");
    other.manifest.calibration.temperature = 0.5;
    same(&push(&key(1).sign(&other.to_bytes()), "mona")?.status, &422, &"the version is taken")?;
    let verdict =
        world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?.body["inference"].clone();
    same(&verdict["prediction"], &json!("Test Failure"), &"the one in use goes on")?;
    let health = deliver::get(&world.worker.url, "/health", None)?.body;
    same(&health["model_source"], &json!("built_in"), &health)
}

fn drift(world: &World) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(60);
    let report = loop {
        let report = world.get("/api/drift")?.body;
        if report["sample_size"].as_u64() >= Some(100) {
            break report;
        }
        same(&(Instant::now() < deadline), &true, &report)?;
        same(
            &world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?.status,
            &200,
            &"a delivery",
        )?;
    };
    same(&report["status"], &json!("Drift Detected"), &report)?;
    let features = report["features"].as_array().ok_or("features")?;
    let of = |name: &str| features.iter().find(|row| row["feature"] == name).ok_or(format!("no {name}"));
    same(&of("prediction")?["severity"], &json!("severe"), &"one class")?;
    same(&of("ci_tool")?["severity"], &json!("stable"), &"still GitHub Actions")?;
    let dashboard = world.get("/api/dashboard")?.body;
    same(&dashboard["drift_heatmap"], &report["features"], &"the heatmap is the report")?;
    let drifted = features.iter().filter(|row| row["is_drifted"] == json!(true)).count();
    same(&dashboard["health"]["features_drifted"], &json!(drifted), &dashboard["health"])?;
    same(&(dashboard["health"]["label"] != json!("Healthy")), &true, &dashboard["health"])?;
    same(
        &world.get("/api/registry")?.body["retrain_suggested"],
        &dashboard["health"]["retrain_suggested"],
        &"registry",
    )
}

fn classify_on_demand(world: &World) -> Outcome {
    let classify = |content_type: &str, body: &[u8]| {
        deliver::post(&world.worker.url, "/api/classify", KEY, content_type, body)
    };
    let log =
        classify("text/plain", b"npm ERR! code ERESOLVE\nnpm ERR! ERESOLVE could not resolve dependency")?;
    same(&log.body["top"][0]["class"], &json!("Dependency Error"), &log.body)?;
    let record =
        json!({ "error_message": "no space left on device", "build_duration_sec": 12.0, "retry_count": 0 });
    let record = classify("application/json", record.to_string().as_bytes())?;
    same(&record.body["prediction"], &json!("Resource Exhaustion"), &record.body)?;
    same(&classify("application/json", b"{}")?.status, &422, &"neither log nor record")?;
    same(&classify("application/json", b"{")?.status, &400, &"broken JSON")?;
    same(&classify("image/png", b"")?.status, &415, &"a picture")?;
    let announced = world.raw_status("/api/classify", "content-length: 3145728", 48)?;
    same(&announced.as_str(), &"413", &"a 3 MB log")
}

fn parity(world: &World) -> Outcome {
    let path = format!("{}/fixtures/golden/failure.jsonl", env!("CARGO_MANIFEST_DIR"));
    let (mut worst, mut flips, mut rows) = (0f64, 0, 0);
    for line in std::fs::read_to_string(path)?.lines() {
        let golden: Value = serde_json::from_str(line)?;
        let body = json!({ "telemetry": golden["telemetry"] }).to_string();
        let answer =
            deliver::post(&world.worker.url, "/api/classify", KEY, "application/json", body.as_bytes())?;
        same(&answer.status, &200, &answer.body)?;
        let numbers = |value: &Value| -> Vec<f64> {
            value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
        };
        let (ours, reference) = (numbers(&answer.body["probabilities"]), numbers(&golden["probabilities"]));
        same(&(ours.len(), reference.len()), &(10, 10), &"ten probabilities each")?;
        worst = ours.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
        flips += usize::from(best(&ours) != best(&reference));
        rows += 1;
    }
    println!("workerd against LightGBM: {rows} goldens, largest difference {worst:.1e}, {flips} label flips");
    same(&(worst <= 1e-5, flips), &(true, 0), &worst)
}

fn best(probabilities: &[f64]) -> usize {
    (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap_or(0)
}

fn metrics(world: &World) -> Outcome {
    let text = world.get("/metrics")?.body;
    let text = text.as_str().unwrap_or_default();
    let counted: u64 = text
        .lines()
        .filter(|line| line.starts_with("sentinel_inferences_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    same(&counted, &world.inferences()?, &text)?;
    for family in [
        "sentinel_model_info{version=\"lgbm_v",
        "sentinel_review_jobs_total{status=\"done\"} ",
        "sentinel_review_comments_total{severity=\"bug\"} ",
        "\nsentinel_causes_open ",
        "\nsentinel_flaky_tests ",
    ] {
        same(&text.contains(family), &true, &text)?;
    }
    Ok(())
}

// === what a person sees ===

fn dashboard_in_chromium(world: &World) -> Outcome {
    let Ok(chromium) = std::env::var("CHROMIUM") else {
        return Err("no Chromium found: install one, or set CHROMIUM to its path".into());
    };
    let script = format!("{}/js/dashboard.mjs", env!("CARGO_MANIFEST_DIR"));
    // Alone, this trial makes what the others leave for it.
    if world.get("/api/registry")?.body["models"] == json!([]) {
        reviews::one_review(world)?;
        drift(world)?;
        let candidate = key(1).sign(&other_model("lgbm_v9.4").to_bytes());
        deliver::post(&world.worker.url, "/api/models", KEY, "application/octet-stream", &candidate)?;
    }
    // What only happens after hours of trouble: a job and a delivery that were given up.
    let (job, delivery) = ("acme/given-up#1@abc", "given-up");
    database_call(
        world,
        &format!(
            "INSERT INTO review_jobs (key, kind, repository, number, head_sha, status, attempts, failures, created_at, finished_at, error) VALUES ('{job}', 'review', 'acme/given-up', 1, 'abc', 'dead', 3, 3, 0, 0, 'GitHub did not answer')"
        ),
    )?;
    // And a verdict that a node told, whose number is no pull request's.
    let verdict = "acme/given-up!run:1:1";
    database_call(
        world,
        &format!(
            "INSERT INTO review_jobs (key, kind, repository, number, head_sha, status, attempts, created_at, finished_at, review_url) VALUES ('{verdict}', 'verdict', 'acme/given-up', 1, 'abc', 'done', 1, 0, 0, 'https://github.example/acme/given-up/runs/1')"
        ),
    )?;
    let record = serde_json::to_string(&json!({})).unwrap_or_default();
    database_call(
        world,
        &format!(
            "INSERT INTO deliveries (hook, id, event, repository, status, record, attempts, lease_until, received_at) VALUES ('77', '{delivery}', 'workflow_run', 'acme/given-up', 'failed', '{record}', 3, 0, 0)"
        ),
    )?;
    let pictures =
        std::env::var_os("SENTINEL_SCREENSHOTS").map_or_else(|| world.folder.clone(), PathBuf::from);
    let output = Command::new("node")
        .arg(script)
        .args([&world.worker.url, KEY, &chromium])
        .arg(&world.programs.tools)
        .arg(pictures)
        .args([job, verdict, delivery])
        .output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    same(&output.status.success(), &true, &said)
}

// === when something is missing ===

fn database_down(world: &World) -> Outcome {
    let payload = world.failed_run(text_log(PYTEST_LOG));
    let delivery = world.delivery(&payload);
    let stored = world.inferences()?;
    *world.database.lock().expect("no trial panics holding it") = None;
    let refused = world.post(&delivery)?;
    same(&refused.status, &503, &refused.body)?;
    let restarted = world.programs.start_database(
        &world.folder.join("sentinel.db"),
        world.database_port,
        DATABASE_TOKEN,
    )?;
    *world.database.lock().expect("no trial panics holding it") = Some(restarted);
    same(&world.inferences()?, &stored, &"inferences after the restart")?;
    let redelivered = world.post(&delivery)?;
    same(&redelivered.status, &200, &redelivered.body)?;
    same(&world.inferences()?, &(stored + 1), &"inferences after the redelivery")
}

fn secrets_unset(world: &World) -> Outcome {
    let settings = Settings::default();
    let worker = world.programs.start_worker(&world.folder.join("bare"), &settings)?;
    let delivery = world.delivery(&world.failed_run(None));
    same(&delivery.post(&worker.url)?.status, &503, &"a webhook without a secret configured")?;
    same(
        &deliver::get(&worker.url, "/api/history", Some(""))?.status,
        &503,
        &"the API without a key configured",
    )?;
    let health = deliver::get(&worker.url, "/health", None)?;
    same(&health.body["status"], &json!("degraded"), &health.body)?;
    let missing = json!(["SENTINEL_WEBHOOK_SECRET", "SENTINEL_API_KEY", "TURSO_DATABASE_URL"]);
    same(&health.body["missing"], &missing, &health.body)?;
    drop(worker);
    let wrong = [
        ("TURSO_DATABASE_URL", "ftp://db.example"),
        ("GITHUB_API_URL", "github.example/api/v3"),
        ("SENTINEL_NODE_URL", "node.example:50051"),
        ("GITHUB_LOG_HOSTS", ".logs.example,https://logs.example/a"),
        ("SENTINEL_RETENTION_DAYS", "30d"),
        ("SENTINEL_PUBLISH_VERDICTS", "yes please"),
        ("SENTINEL_MODEL_PUBLIC_KEYS", "0a0b0c"),
    ];
    let right = [
        ("SENTINEL_API_KEY", KEY),
        ("SENTINEL_WEBHOOK_SECRET", SECRET),
        ("SENTINEL_NODE_TOKEN", "a token"),
        ("GITHUB_TOKEN", TOKEN),
    ];
    let vars = wrong.iter().chain(&right).map(|(name, value)| (*name, (*value).to_owned())).collect();
    let settings = Settings { vars, ..Settings::default() };
    let worker = world.programs.start_worker(&world.folder.join("mistyped"), &settings)?;
    let health = deliver::get(&worker.url, "/health", None)?.body;
    let named: Vec<_> =
        health["wrong"].as_array().into_iter().flatten().map(|each| each["setting"].as_str()).collect();
    same(&named, &wrong.map(|(name, _)| Some(name)).to_vec(), &health)?;
    for (_, value) in wrong {
        same(&health.to_string().contains(value), &false, &"a value is never told")?;
    }
    same(&health["status"], &json!("degraded"), &health)?;
    same(&health["missing"], &json!([]), &"what is wrong is not missing")?;
    same(&health["evidence"], &json!("payload"), &"no token goes where nobody knows what answers")?;
    // What depends on a setting that is wrong is closed, and says which one.
    let history = deliver::get(&worker.url, "/api/history", Some(KEY))?;
    let model = deliver::post(&worker.url, "/api/models", KEY, "application/octet-stream", b"x")?;
    for (answer, setting) in [
        (delivery.post(&worker.url)?, "TURSO_DATABASE_URL"),
        (history, "TURSO_DATABASE_URL"),
        (model, "SENTINEL_MODEL_PUBLIC_KEYS"),
    ] {
        let told = format!("{setting} is not set, or not usable, so this endpoint is closed");
        same(&(answer.status, &answer.body["detail"]), &(503, &json!(told)), &setting)?;
    }
    Ok(())
}

/// Runs one statement on the database, as an operator would.
fn database_call(world: &World, sql: &str) -> anyhow::Result<Value> {
    let url = format!("http://127.0.0.1:{}/v2/pipeline", world.database_port);
    let request = json!({ "requests": [{ "type": "execute", "stmt": { "sql": sql } }, { "type": "close" }] });
    let mut response = ureq::post(url)
        .header("authorization", format!("Bearer {DATABASE_TOKEN}"))
        .header("content-type", "application/json")
        .send(request.to_string())?;
    let answer: HashMap<String, Value> = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    Ok(answer["results"][0]["response"]["result"].clone())
}
