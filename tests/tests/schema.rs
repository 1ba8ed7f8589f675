//! The schema of a database that is older, newer, or brought up to date by two at once; and what a database keeps when
//! its schema changes.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use sentinel_node::database::server::Server;
use sentinel_shared::access::Scope;
use sentinel_shared::store::migrations::{MIGRATIONS, Migration, Upgrade};
use sentinel_shared::store::{Query, Statement, counters, drift};
use sentinel_tests::database::{client, served};
use sentinel_tests::node::RUNTIME;
use sentinel_tests::stack;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Texts of migrations that were edited after databases had been made with them.
const EARLY_0002: &str = include_str!("../fixtures/schema/0002_without_installations.sql");
const FIRST_0003: &str = include_str!("../fixtures/schema/0003_of_verdicts_alone.sql");
const EARLY_0003: &str = include_str!("../fixtures/schema/0003_without_installations.sql");
const EARLY_0005: &str = include_str!("../fixtures/schema/0005_without_heard_at.sql");

/// A row of each table: its columns and their values. Columns that a schema lacks are left out, and so is a row whose
/// first column it lacks.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    (
        "deliveries",
        &[
            ("hook", "'1'"),
            ("id", "'d1'"),
            ("event", "'workflow_run'"),
            ("repository", "'acme/app'"),
            ("installation_id", "7"),
            ("status", "'queued'"),
            ("record", "'{}'"),
            ("lease_until", "5"),
            ("received_at", "4"),
        ],
    ),
    ("inferences", INFERENCE),
    ("counters", &[("name", "'inferences'"), ("label", "'timeout'"), ("value", "3")]),
    (
        "drift_cells",
        &[
            ("model_version", "'v1'"),
            ("block", "0"),
            ("installation_id", "7"),
            ("feature", "'prediction'"),
            ("bin", "2"),
            ("count", "9"),
        ],
    ),
    ("telemetry", &[("inference_id", "1"), ("telemetry", "'{}'"), ("stored_at", "6")]),
    (
        "models",
        &[
            ("version", "'v2'"),
            ("digest", "'d'"),
            ("manifest", "'{}'"),
            ("uploaded_by", "'ops'"),
            ("uploaded_at", "1"),
        ],
    ),
    ("activations", &[("version", "'v2'"), ("action", "'promote'"), ("author", "'ops'"), ("at", "2")]),
    (
        "review_jobs",
        &[
            ("key", "'acme/app#3@abc'"),
            ("kind", "'review'"),
            ("repository", "'acme/app'"),
            ("number", "3"),
            ("head_sha", "'abc'"),
            ("installation_id", "7"),
            ("status", "'done'"),
            ("created_at", "8"),
            ("result", "'{}'"),
            ("heard_at", "11"),
        ],
    ),
    (
        "muted_pulls",
        &[("repository", "'acme/app'"), ("number", "4"), ("muted_by", "'ann'"), ("muted_at", "3")],
    ),
    (
        "known_issues",
        &[
            ("repository", "'acme/app'"),
            ("installation_id", "7"),
            ("pattern", "'timed out'"),
            ("advice", "'wait'"),
            ("made_by", "'ops'"),
            ("made_at", "3"),
        ],
    ),
    (
        "retries",
        &[
            ("repository", "'acme/app'"),
            ("workflow", "'CI'"),
            ("head_sha", "'abc'"),
            ("installation_id", "7"),
            ("run_id", "1"),
            ("reason", "'flaky'"),
            ("times", "6"),
            ("passed", "5"),
            ("claimed_at", "3"),
        ],
    ),
    ("github_writes", &[("account", "'7'"), ("at_ms", "1000")]),
    (
        "feedback",
        &[
            ("inference_id", "1"),
            ("original", "'timeout'"),
            ("corrected", "'flaky_test'"),
            ("author", "'ann'"),
            ("created_at", "9"),
            ("installation_id", "7"),
        ],
    ),
    (
        "feedback",
        &[
            ("job_key", "'acme/app#3@abc'"),
            ("finding", "'f1'"),
            ("original", "'bug/logic'"),
            ("corrected", "'useful'"),
            ("author", "'bob'"),
            ("created_at", "10"),
            ("installation_id", "7"),
        ],
    ),
    ("api_keys", &[("name", "'ci'"), ("digest", "'x'"), ("role", "'read'"), ("created_at", "1")]),
    ("sessions", &[("digest", "'s'"), ("key_id", "1"), ("expires_at", "99")]),
    (
        "breakers",
        &[
            ("account", "'7'"),
            ("reason", "'limited'"),
            ("what", "'429'"),
            ("since", "1"),
            ("retry_at", "2"),
            ("tries", "3"),
        ],
    ),
    ("job_pauses", &[("job_key", "'acme/app#3@abc'"), ("since", "1")]),
    ("evidence_notes", &[("inference_id", "1"), ("note", "'jobs_cut'")]),
    ("github_trouble", &[("id", "1"), ("state", "'away'"), ("since", "1")]),
    (
        "runs",
        &[
            ("repository", "'acme/app'"),
            ("run_id", "1"),
            ("run_attempt", "1"),
            ("workflow", "'CI'"),
            ("branch", "'main'"),
            ("head_sha", "'abc'"),
            ("conclusion", "'failure'"),
            ("ended_at", "5"),
        ],
    ),
    (
        "causes",
        &[
            ("repository", "'acme/app'"),
            ("key", "'k'"),
            ("class", "'Timeout'"),
            ("fault", "'code'"),
            ("line", "'hung'"),
            ("tests", "'[]'"),
            ("first_at", "5"),
            ("last_at", "5"),
        ],
    ),
    (
        "failures",
        &[
            ("id", "1"),
            ("repository", "'acme/app'"),
            ("run_id", "1"),
            ("run_attempt", "1"),
            ("workflow", "'CI'"),
            ("job", "'linux'"),
            ("branch", "'main'"),
            ("head_sha", "'abc'"),
            ("failed_at", "5"),
            ("cause_id", "1"),
            ("fault", "'code'"),
            ("facts", "'{}'"),
            ("around", "'[]'"),
        ],
    ),
    ("tests", &[("repository", "'acme/app'"), ("name", "'loads'"), ("first_at", "5"), ("last_at", "5")]),
    ("failed_tests", &[("failure_id", "1"), ("test_id", "1")]),
    (
        "reports",
        &[
            ("repository", "'acme/app'"),
            ("run_id", "1"),
            ("run_attempt", "1"),
            ("job", "'linux'"),
            ("digest", "'d'"),
            ("branch", "'main'"),
            ("head_sha", "'abc'"),
            ("passed", "3"),
            ("passed_on_retry", "1"),
            ("failed", "1"),
            ("skipped", "0"),
            ("seconds", "1.5"),
            ("received_at", "5"),
        ],
    ),
    ("report_tests", &[("report_id", "1"), ("test_id", "1"), ("outcome", "2")]),
    ("test_days", &[("test_id", "1"), ("day", "20000"), ("runs", "4"), ("failures", "1")]),
];

const INFERENCE: &[(&str, &str)] = &[
    ("repository", "'acme/app'"),
    ("subject", "'run:1:1'"),
    ("installation_id", "7"),
    ("timestamp", "5"),
    ("prediction", "'timeout'"),
    ("confidence", "0.5"),
    ("top", "'[]'"),
    ("top_features", "'[]'"),
    ("evidence", "'log'"),
    ("event_source", "'github_webhook'"),
    ("metrics_payload", "'{}'"),
    ("model_version", "'v1'"),
];

// === the rig ===

/// A file of its own for a test.
fn file_of(test: &str) -> PathBuf {
    stack::work_folder(&format!("schema-{test}")).unwrap().join("test.db")
}

fn pipeline(url: &str, requests: &Value) -> Value {
    let mut answer =
        ureq::post(format!("{url}/v2/pipeline")).send_json(json!({ "requests": requests })).unwrap();
    answer.body_mut().read_json().unwrap()
}

/// Runs each statement of `sql` on one connection without checks of foreign keys; stops at an error and returns it.
fn try_run(url: &str, sql: &str) -> Result<(), String> {
    let free = json!({ "type": "execute", "stmt": { "sql": "PRAGMA foreign_keys = OFF" } });
    let requests = json!([free, { "type": "sequence", "sql": sql }, { "type": "close" }]);
    match pipeline(url, &requests)["results"][1]["error"]["message"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(()),
    }
}

fn run(url: &str, sql: &str) {
    try_run(url, sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// The rows of a query, each value as text.
fn rows(url: &str, sql: &str) -> Vec<Vec<String>> {
    let requests = json!([{ "type": "execute", "stmt": { "sql": sql } }, { "type": "close" }]);
    let answer = pipeline(url, &requests);
    let rows = answer["results"][0]["response"]["result"]["rows"].as_array();
    let rows = rows.unwrap_or_else(|| panic!("{sql}: {answer}"));
    let text =
        |value: &Value| value["value"].as_str().map_or_else(|| value["value"].to_string(), str::to_owned);
    rows.iter().map(|row| row.as_array().unwrap().iter().map(text).collect()).collect()
}

fn column(url: &str, sql: &str) -> Vec<String> {
    rows(url, sql).into_iter().map(|mut row| row.remove(0)).collect()
}

fn tables(url: &str) -> Vec<String> {
    column(
        url,
        // The tables of an index of words come and go with it.
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
           AND name NOT LIKE 'causes\\_words\\_%' ESCAPE '\\' ORDER BY name",
    )
}

fn columns(url: &str, table: &str) -> Vec<String> {
    column(url, &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))
}

/// Empties the database of all tables and gives it those of these texts.
fn make(url: &str, texts: &[(i64, &str)]) {
    let dropped: String = tables(url).iter().map(|table| format!("DROP TABLE {table};")).collect();
    run(url, &dropped);
    for (version, text) in texts {
        run(url, &format!("{text}\nINSERT INTO schema_migrations VALUES ({version}, 1);"));
    }
}

fn insert(url: &str, table: &str, row: &[(&str, &str)]) {
    let (names, values): (Vec<_>, Vec<_>) = row.iter().copied().unzip();
    run(url, &format!("INSERT INTO {table} ({}) VALUES ({});", names.join(", "), values.join(", ")));
}

/// A table's row of [`ROWS`], but for one value.
fn insert_with(url: &str, table: &str, (changed, value): (&str, &str)) {
    let (_, row) = ROWS.iter().find(|(name, _)| *name == table).unwrap();
    let value_of = |name, old| if name == changed { value } else { old };
    insert(url, table, &row.iter().map(|(name, old)| (*name, value_of(*name, *old))).collect::<Vec<_>>());
}

/// Puts a row into each table there is.
fn fill(url: &str) {
    for (table, row) in ROWS {
        let there = columns(url, table);
        let has = |name: &str| there.iter().any(|column| column == name);
        if has(row[0].0) {
            let row: Vec<_> = row.iter().filter(|(name, _)| has(name)).copied().collect();
            insert(url, table, &row);
        }
    }
}

/// Every row of every table, in the columns that are there now.
fn content(url: &str) -> BTreeMap<String, (Vec<String>, Vec<Vec<String>>)> {
    let of = |table: String| {
        let columns = columns(url, &table);
        let rows = rows(url, &format!("SELECT {0} FROM {table} ORDER BY {0}", columns.join(", ")));
        (table, (columns, rows))
    };
    tables(url).into_iter().filter(|table| table != "schema_migrations").map(of).collect()
}

/// Fails where a row of `before` is not there any more.
fn nothing_is_lost(url: &str, before: &BTreeMap<String, (Vec<String>, Vec<Vec<String>>)>, case: &str) {
    for (table, (columns, kept)) in before {
        let now = rows(url, &format!("SELECT {0} FROM {table} ORDER BY {0}", columns.join(", ")));
        assert_eq!(&now, kept, "{case}: {table}");
    }
}

/// Everything that the schema consists of, in no order.
fn shape(url: &str) -> BTreeSet<String> {
    let mut shape: BTreeSet<String> =
        rows(url, "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
            .into_iter()
            .map(|row| row.join(" "))
            .collect();
    for table in tables(url) {
        let columns = rows(
            url,
            &format!("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}')"),
        );
        shape.extend(columns.into_iter().map(|column| format!("{table}: {}", column.join(" "))));
        let indices = rows(
            url,
            &format!(
                "SELECT i.name, c.name FROM pragma_index_list('{table}') AS i, pragma_index_info(i.name) AS c"
            ),
        );
        shape.extend(indices.into_iter().map(|index| format!("{table} by {}", index.join(" "))));
    }
    shape
}

fn versions(url: &str) -> Vec<String> {
    column(url, "SELECT version FROM schema_migrations ORDER BY version")
}

/// Databases as early builds made them, whose tables have an older shape than their version says.
fn early_databases() -> Vec<(&'static str, Vec<(i64, &'static str)>)> {
    let with = |upto: usize, changed: &[(i64, &'static str)]| -> Vec<(i64, &'static str)> {
        let text = |migration: &Migration| {
            let changed = changed.iter().find(|(version, _)| *version == migration.version);
            (migration.version, changed.map_or(migration.sql, |(_, text)| *text))
        };
        MIGRATIONS[..upto].iter().map(text).collect()
    };
    vec![
        ("histograms without installations", with(2, &[(2, EARLY_0002)])),
        ("the first feedback", with(3, &[(2, EARLY_0002), (3, FIRST_0003)])),
        ("the first reviews", with(5, &[(2, EARLY_0002), (3, FIRST_0003), (5, EARLY_0005)])),
        ("feedback on findings", with(5, &[(2, EARLY_0002), (3, EARLY_0003)])),
        ("all of these, and what came later", with(8, &[(2, EARLY_0002), (3, EARLY_0003), (5, EARLY_0005)])),
        ("histograms alone, and what came later", with(8, &[(2, EARLY_0002)])),
    ]
}

/// The schema as it was after these migrations.
fn migrate(url: &str, migrations: &[Migration]) {
    make(url, &[]);
    let request: Value = serde_json::from_str(&Upgrade::of(migrations).body).unwrap();
    pipeline(url, &request["requests"]);
    let expected: Vec<_> = migrations.iter().map(|migration| migration.version.to_string()).collect();
    assert_eq!(versions(url), expected);
}

// === tests ===

#[test]
fn from_each_earlier_schema_a_database_comes_to_the_newest_and_keeps_every_row() {
    let file = file_of("earlier");
    let url = served(&file);
    let newest = shape(&url);
    for count in 1..=MIGRATIONS.len() {
        let case = format!("after migration {count}");
        for opened in [true, false] {
            migrate(&url, &MIGRATIONS[..count]);
            fill(&url);
            let before = content(&url);
            let filled = before.values().filter(|(_, rows)| !rows.is_empty()).count();
            assert!(filled + 1 >= before.len(), "{case}: a table has no row in {before:?}");
            if opened {
                served(&file);
            } else {
                RUNTIME.block_on(client(&url).ask(counters::counters())).unwrap();
            }
            nothing_is_lost(&url, &before, &case);
            assert_eq!(
                shape(&url).symmetric_difference(&newest).collect::<Vec<_>>(),
                Vec::<&String>::new(),
                "{case}"
            );
            assert_eq!(versions(&url).len(), MIGRATIONS.len(), "{case}");
        }
    }
}

#[test]
fn of_many_that_migrate_at_once_each_is_answered_and_each_migration_runs_once() {
    for round in 0..5 {
        let file = file_of(&format!("at-once-{round}"));
        let url = served(&file);
        let (_, texts) = early_databases().remove(4);
        make(&url, &texts);
        fill(&url);
        let before = content(&url);
        let (url, file, barrier) = (url.as_str(), file.as_path(), &std::sync::Barrier::new(12));
        std::thread::scope(|threads| {
            for program in 0..12 {
                threads.spawn(move || {
                    barrier.wait();
                    if program % 3 == 0 {
                        served(file);
                    } else {
                        RUNTIME.block_on(client(url).ask(counters::counters())).unwrap();
                    }
                });
            }
        });
        nothing_is_lost(url, &before, "at once");
        assert_eq!(versions(url).len(), MIGRATIONS.len());
    }
}

#[test]
fn many_that_open_a_new_file_at_once_all_serve_it() {
    for round in 0..40 {
        let file = file_of(&format!("new-at-once-{round}"));
        let (file, barrier) = (file.as_path(), &std::sync::Barrier::new(8));
        let urls: Vec<String> = std::thread::scope(|threads| {
            let open = |_| {
                threads.spawn(move || {
                    barrier.wait();
                    served(file)
                })
            };
            let opening: Vec<_> = (0..8).map(open).collect();
            opening.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for url in urls {
            assert_eq!(versions(&url).len(), MIGRATIONS.len());
        }
    }
}

#[test]
fn a_database_of_a_newer_program_is_used_and_left_as_it_is() {
    let file = file_of("newer");
    let url = served(&file);
    run(
        &url,
        "ALTER TABLE inferences ADD COLUMN invented TEXT; INSERT INTO schema_migrations VALUES (99, 1);",
    );
    fill(&url);
    let before = shape(&url);
    let answer = RUNTIME.block_on(client(&served(&file)).ask(counters::counters())).unwrap();
    assert_eq!(answer.len(), 1);
    assert_eq!(shape(&url), before);
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind_and_ends_those_after_it() {
    let url = served(&file_of("failing"));
    let broken = [
        Migration { version: 97, sql: "CREATE TABLE first (a);\n" },
        Migration { version: 98, sql: "CREATE TABLE second (a);\nCREATE TABLE first (a);\n" },
        Migration { version: 99, sql: "CREATE TABLE third (a);\n" },
    ];
    let request: Value = serde_json::from_str(&Upgrade::of(&broken).body).unwrap();
    for _ in 0..2 {
        pipeline(&url, &request["requests"]);
        let made = column(&url, "SELECT name FROM sqlite_master WHERE name IN ('first', 'second', 'third')");
        assert_eq!(made, ["first"]);
        assert_eq!(versions(&url).last().unwrap(), "97");
    }
}

#[test]
fn a_database_that_an_early_build_made_is_repaired_when_it_is_opened() {
    let newest = shape(&served(&file_of("newest")));
    for (number, (case, texts)) in early_databases().into_iter().enumerate() {
        let file = file_of(&format!("early-{number}"));
        let url = served(&file);
        make(&url, &texts);
        fill(&url);
        let before = content(&url);
        let again = served(&file);
        nothing_is_lost(&again, &before, case);
        let now = shape(&again);
        assert_eq!(now.symmetric_difference(&newest).collect::<Vec<_>>(), Vec::<&String>::new(), "{case}");
    }
}

#[test]
fn a_question_that_meets_a_missing_column_brings_the_schema_up_to_date_and_is_answered() {
    let url = served(&file_of("asked"));
    let (_, texts) = early_databases().remove(5);
    make(&url, &texts);
    fill(&url);
    let question = drift::window(Scope::Installation(7), "v1");
    let window = RUNTIME.block_on(client(&url).ask(question)).unwrap();
    assert_eq!(window.n, 0, "the old cells belong to no installation");
}

#[test]
fn a_database_with_nothing_missing_opens_while_another_holds_the_write_lock() {
    let file = file_of("locked");
    let url = served(&file);
    let requests = json!([{ "type": "execute", "stmt": { "sql": "BEGIN IMMEDIATE" } }]);
    let held = pipeline(&url, &requests);
    assert!(held["baton"].is_string(), "{held}");
    let started = Instant::now();
    let opened = RUNTIME.block_on(Server::open(&file, None)).map(|_| ());
    assert!(
        opened.is_ok() && started.elapsed() < Duration::from_secs(3),
        "{opened:?} after {:?}",
        started.elapsed()
    );
}

#[test]
fn the_id_of_a_forgotten_verdict_is_never_given_again() {
    let url = served(&file_of("ids"));
    let verdict = |number: u32| {
        let subject = format!("'run:{number}:1'");
        insert_with(&url, "inferences", ("subject", &subject));
        column(&url, &format!("SELECT id FROM inferences WHERE subject = {subject}")).remove(0)
    };
    assert_eq!([1, 2, 3].map(verdict), ["1", "2", "3"]);
    run(&url, "DELETE FROM inferences WHERE id = 3");
    assert_eq!(verdict(4), "4");
    run(&url, "DELETE FROM inferences");
    assert_eq!([verdict(5), verdict(6)], ["5", "6"]);
    run(&url, "DELETE FROM inferences WHERE id = 5");
    assert_eq!(verdict(7), "7");
    // Rows are forgotten in any order, and what matters is the highest.
    run(&url, "DELETE FROM inferences WHERE id = 7; DELETE FROM inferences WHERE id = 6");
    assert_eq!(verdict(8), "8");
}

#[test]
fn the_id_of_a_forgotten_job_is_never_given_again() {
    let url = served(&file_of("job-ids"));
    let job = |number: u32| {
        let key = format!("'acme/app#{number}@abc'");
        insert_with(&url, "review_jobs", ("key", &key));
        column(&url, &format!("SELECT id FROM review_jobs WHERE key = {key}")).remove(0)
    };
    assert_eq!([1, 2, 3].map(job), ["1", "2", "3"]);
    run(&url, "DELETE FROM review_jobs");
    assert_eq!([job(4), job(5)], ["4", "5"]);
}

/// The statements after an insert ask whether it changed a row, and count only then.
#[test]
fn an_insert_that_is_given_another_id_has_changed_one_row() {
    let url = served(&file_of("changes"));
    insert(&url, "inferences", INFERENCE);
    run(&url, "DELETE FROM inferences");
    #[derive(serde::Deserialize)]
    struct Changed {
        changes: i64,
        id: i64,
    }
    let statement = |sql: &'static str| Statement { sql, args: Vec::new() };
    let insert = "-- test_insert
INSERT INTO inferences (repository, subject, timestamp, prediction, confidence, top, top_features, evidence, event_source,
  metrics_payload, model_version) VALUES ('a/b', 'run:2:1', 5, 'timeout', 0.5, '[]', '[]', 'log', 'w', '{}', 'v1')";
    let changed = statement("-- test_changes\nSELECT changes() AS changes, MAX(id) AS id FROM inferences");
    let asked = Query::writing(statement(insert)).affected().and(Query::reading(changed).only::<Changed>());
    let (affected, changed) = RUNTIME.block_on(client(&url).ask(asked)).unwrap();
    assert_eq!((affected, changed.changes, changed.id), (1, 1, 2));
}
