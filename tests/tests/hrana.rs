//! The embedded database server with the clients that people use: raw Hrana, the `libsql` crate's remote client, and
//! npm's `@libsql/client`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use libsql::Builder;
use sentinel_node::database::server::{Limits, Server, Tokens};
use sentinel_node::operate::listener;
use sentinel_shared::store::migrations::MIGRATIONS;
use sentinel_tests::stack::{self, free_port};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const TOKEN: &str = "token";
const READ_TOKEN: &str = "token for reading";
/// Never ends by itself.
const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// A served database in a folder of its own; the runtime's end stops it.
async fn served(name: &str) -> (String, PathBuf) {
    served_within(name, Limits::default()).await
}

async fn served_within(name: &str, limits: Limits) -> (String, PathBuf) {
    let folder = stack::work_folder(&format!("hrana-{name}")).unwrap();
    let file = folder.join("test.db");
    let tokens = Tokens::new(&[TOKEN.into(), "the next token".into()], &[READ_TOKEN.into()]);
    let server = Server::open_within(&file, tokens, limits).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, server.router()).await });
    (url, file)
}

async fn pipeline(url: &str, body: Value) -> (u16, Value) {
    pipeline_as(TOKEN, url, body).await
}

async fn pipeline_as(token: &'static str, url: &str, body: Value) -> (u16, Value) {
    let url = format!("{url}/v2/pipeline");
    let call = move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut response =
            agent.post(url).header("authorization", format!("Bearer {token}")).send_json(body).unwrap();
        let status = response.status().as_u16();
        (status, response.body_mut().read_json().unwrap_or_default())
    };
    tokio::task::spawn_blocking(call).await.unwrap()
}

fn execute(sql: &str) -> Value {
    json!({ "type": "execute", "stmt": { "sql": sql } })
}

/// What each of these statements is answered on one stream that ends with them: "ok", or the error's code.
async fn answers_as<const N: usize>(token: &'static str, url: &str, statements: [&str; N]) -> [String; N] {
    let mut requests: Vec<_> = statements.map(execute).into();
    requests.push(json!({ "type": "close" }));
    let (status, answer) = pipeline_as(token, url, json!({ "requests": requests })).await;
    assert_eq!(status, 200, "{answer}");
    std::array::from_fn(|at| {
        let result = &answer["results"][at];
        result["error"]["code"].as_str().or(result["type"].as_str()).unwrap_or_default().to_owned()
    })
}

async fn answers<const N: usize>(url: &str, statements: [&str; N]) -> [String; N] {
    answers_as(TOKEN, url, statements).await
}

/// The one value of a query.
async fn value(url: &str, sql: &str) -> Value {
    let requests = json!([execute(sql), { "type": "close" }]);
    let (_, answer) = pipeline(url, json!({ "requests": requests })).await;
    answer["results"][0]["response"]["result"]["rows"][0][0]["value"].clone()
}

/// A request that is sent as bytes, so that it can be left half sent, or its answer unread.
fn sent(url: &str, token: &str, body: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v2/pipeline HTTP/1.1\r\nhost: db\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream
}

fn status_line(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 32];
    let read = stream.read(&mut bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_libsql_crates_remote_client_writes_and_reads_in_a_transaction() {
    let (url, _) = served("crate").await;
    let connector = hyper::client::HttpConnector::new();
    let database = Builder::new_remote(url, TOKEN.into()).connector(connector).build().await.unwrap();
    let connection = database.connect().unwrap();
    connection.execute("CREATE TABLE t (a INTEGER, b TEXT, c REAL, d BLOB)", ()).await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO t VALUES (?1, ?2, ?3, ?4)", (7, "ü", 1.5, vec![0u8, 255]))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let abandoned = connection.transaction().await.unwrap();
    abandoned.execute("INSERT INTO t VALUES (8, '', 0, x'')", ()).await.unwrap();
    abandoned.rollback().await.unwrap();
    let mut rows = connection.query("SELECT a, b, c, d FROM t", ()).await.unwrap();
    let row = rows.next().await.unwrap().unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 7);
    assert_eq!(row.get::<String>(1).unwrap(), "ü");
    assert_eq!(row.get::<f64>(2).unwrap(), 1.5);
    assert_eq!(row.get::<Vec<u8>>(3).unwrap(), [0, 255]);
    assert!(rows.next().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn npms_libsql_client_passes() {
    let (url, _) = served("npm").await;
    let tools = std::env::var("SENTINEL_TOOLS").expect("SENTINEL_TOOLS is not set: run `cargo xtask test`");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/js/libsql_client.mjs");
    let run = move || Command::new("node").arg(script).args([&url, TOKEN, &tools]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_lives_between_requests_by_its_baton_which_works_once() {
    let (url, _) = served("baton").await;
    let (_, opened) = pipeline(&url, json!({ "requests": [execute("CREATE TEMP TABLE own (a)")] })).await;
    let baton = opened["baton"].clone();
    let (_, used) =
        pipeline(&url, json!({ "baton": baton, "requests": [execute("SELECT * FROM own")] })).await;
    assert_eq!(used["results"][0]["type"], "ok", "{used}");
    let (status, again) = pipeline(&url, json!({ "baton": baton, "requests": [] })).await;
    assert_eq!(status, 400, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_has_sqlites_code_and_leaves_the_rest_of_the_pipeline_running() {
    let (url, _) = served("error").await;
    let requests = [
        "CREATE TABLE u (a UNIQUE)",
        "INSERT INTO u VALUES (1)",
        "INSERT INTO u VALUES (1)",
        "nonsense",
        "SELECT count(*) FROM u",
    ];
    let (status, answer) = pipeline(&url, json!({ "requests": requests.map(execute) })).await;
    assert_eq!(status, 200);
    assert_eq!(answer["results"][2]["error"]["code"], "SQLITE_CONSTRAINT");
    assert_eq!(answer["results"][3]["error"]["code"], "SQLITE_ERROR");
    assert_eq!(answer["results"][4]["response"]["result"]["rows"][0][0]["value"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_batch_is_rolled_back_whole() {
    let (url, _) = served("batch").await;
    pipeline(&url, json!({ "requests": [execute("CREATE TABLE b (a UNIQUE)"), { "type": "close" }] })).await;
    let step = |sql: &str, condition: Value| json!({ "condition": condition, "stmt": { "sql": sql } });
    let ok = |at: u32| json!({ "type": "ok", "step": at });
    let steps = json!([
        step("BEGIN", Value::Null),
        step("INSERT INTO b VALUES (1)", ok(0)),
        step("INSERT INTO b VALUES (1)", ok(1)),
        step("COMMIT", ok(2)),
        step("ROLLBACK", json!({ "type": "not", "cond": ok(3) })),
    ]);
    let (_, answer) = pipeline(&url, json!({ "requests": [{ "type": "batch", "batch": { "steps": steps } }, execute("SELECT count(*) FROM b")] })).await;
    assert_eq!(answer["results"][1]["response"]["result"]["rows"][0][0]["value"], "0", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_nothing_is_answered() {
    let (url, _) = served("token").await;
    let call = move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        agent
            .post(format!("{url}/v2/pipeline"))
            .header("authorization", "Bearer wrong")
            .send("{}")
            .unwrap()
            .status()
    };
    assert_eq!(tokio::task::spawn_blocking(call).await.unwrap().as_u16(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_there_and_opening_twice_changes_nothing() {
    let (url, file) = served("schema").await;
    Server::open(&file, None).await.unwrap();
    let (_, answer) = pipeline(&url, json!({ "requests": [execute("SELECT count(*) FROM schema_migrations"), execute("SELECT * FROM deliveries")] })).await;
    assert_eq!(
        answer["results"][0]["response"]["result"]["rows"][0][0]["value"],
        MIGRATIONS.len().to_string(),
        "{answer}"
    );
    assert_eq!(answer["results"][1]["type"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_client_sets_up_for_itself_no_other_meets() {
    let (url, _) = served("apart").await;
    assert_eq!(answers(&url, ["CREATE TABLE shared (a)"]).await, ["ok"]);
    let own = [
        "CREATE TEMP TABLE mine (a)",
        "INSERT INTO mine VALUES ('secret')",
        "CREATE TEMP TRIGGER spy AFTER INSERT ON shared BEGIN INSERT INTO mine VALUES (new.a); END",
        "PRAGMA foreign_keys = OFF",
        "INSERT INTO shared VALUES (1)",
    ];
    assert_eq!(answers(&url, own).await, ["ok"; 5]);
    for _ in 0..12 {
        let [mine, write, _] =
            answers(&url, ["SELECT * FROM mine", "INSERT INTO shared VALUES (2)", "SELECT 1"]).await;
        assert_eq!((mine.as_str(), write.as_str()), ("SQLITE_ERROR", "ok"));
        assert_eq!(value(&url, "PRAGMA foreign_keys").await, "1");
        assert_eq!(value(&url, "SELECT last_insert_rowid()").await, "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reaches_neither_other_files_nor_how_the_server_runs() {
    let (url, file) = served("power").await;
    let beside = file.with_file_name("beside.db");
    let attach = format!("ATTACH '{}' AS beside", beside.display());
    let vacuum = format!("VACUUM INTO '{}'", beside.display());
    let refused = [
        attach.as_str(),
        vacuum.as_str(),
        "VACUUM",
        "PRAGMA query_only = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA writable_schema = ON",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA wal_checkpoint",
        "SELECT * FROM pragma_database_list",
    ];
    assert_eq!(answers(&url, refused).await, ["SQLITE_AUTH"; 11]);
    assert!(!beside.exists());
    let defended =
        ["UPDATE sqlite_master SET sql = ''", "DELETE FROM sqlite_schema", "SELECT load_extension('x')"];
    assert_eq!(answers(&url, defended).await, ["SQLITE_ERROR"; 3]);
    let allowed = [
        "PRAGMA journal_mode",
        "PRAGMA table_info(deliveries)",
        "PRAGMA foreign_key_check",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA user_version = 7",
        "SELECT * FROM pragma_table_list",
        "CREATE VIRTUAL TABLE words USING fts5 (word)",
    ];
    assert_eq!(answers(&url, allowed).await, ["ok"; 7]);
    let keys = [
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (parent REFERENCES parent)",
        "INSERT INTO child VALUES (1)",
    ];
    assert_eq!(answers(&url, keys).await, ["ok", "ok", "SQLITE_CONSTRAINT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_reading_reads_and_each_token_of_several_is_good() {
    let (url, _) = served("tokens").await;
    assert_eq!(answers_as("the next token", &url, ["CREATE TABLE t (a)"]).await, ["ok"]);
    let asked = [
        "SELECT * FROM t",
        "PRAGMA table_info(t)",
        "INSERT INTO t VALUES (1)",
        "CREATE TABLE u (a)",
        "DROP TABLE t",
        "PRAGMA user_version = 7",
        "CREATE TEMP TABLE v (a)",
    ];
    let refused = "SQLITE_AUTH";
    let expected = ["ok", "ok", refused, refused, refused, refused, refused];
    assert_eq!(answers_as(READ_TOKEN, &url, asked).await, expected);
    // Nor does it take the lock, or a writer's stream.
    let (_, reader) =
        pipeline_as(READ_TOKEN, &url, json!({ "requests": [execute("BEGIN IMMEDIATE")] })).await;
    assert_eq!(answers(&url, ["INSERT INTO t VALUES (1)"]).await, ["ok"], "{reader}");
    let (_, writer) = pipeline(&url, json!({ "requests": [execute("SELECT 1")] })).await;
    let (status, _) =
        pipeline_as(READ_TOKEN, &url, json!({ "baton": writer["baton"], "requests": [] })).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_stream_held_the_next_is_refused_before_anything_runs() {
    let (url, _) = served_within("full", Limits { held: 128, ..Limits::default() }).await;
    assert_eq!(answers(&url, ["CREATE TABLE t (a)"]).await, ["ok"]);
    for _ in 0..128 {
        let (status, held) = pipeline(&url, json!({ "requests": [execute("SELECT 1")] })).await;
        assert!(status == 200 && held["baton"].is_string(), "{status} {held}");
    }
    let open = json!({ "requests": [execute("BEGIN"), execute("INSERT INTO t VALUES (1)")] });
    let (status, refused) = pipeline(&url, open.clone()).await;
    assert_eq!(status, 503, "{refused}");
    // Who ends its stream in the same request needs no place.
    assert_eq!(answers(&url, ["INSERT INTO t VALUES (2)"]).await, ["ok"]);
    assert_eq!(value(&url, "SELECT group_concat(a) FROM t").await, "2");
    // Idle streams end by themselves.
    let deadline = Instant::now() + Duration::from_secs(30);
    let served = loop {
        let (status, answer) = pipeline(&url, open.clone()).await;
        if status == 200 {
            break answer;
        }
        assert!(Instant::now() < deadline, "{status} {answer}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(served["baton"].is_string(), "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_loses_the_write_lock_by_a_timer() {
    let (url, file) = served("lock").await;
    assert_eq!(answers(&url, ["CREATE TABLE t (a)"]).await, ["ok"]);
    // Another server on the file looks, so that no call of the first could be what ends the stream.
    let other = Server::open(&file, None).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, other.router()).await });
    let requests = json!([execute("BEGIN IMMEDIATE"), execute("INSERT INTO t VALUES (1)")]);
    let (_, holder) = pipeline(&url, json!({ "requests": requests })).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while answers(&other_url, ["INSERT INTO t VALUES (2)"]).await != ["ok"] {
        assert!(Instant::now() < deadline, "the lock is held for ever");
    }
    assert_eq!(value(&url, "SELECT group_concat(a) FROM t").await, "2");
    let (status, told) =
        pipeline(&url, json!({ "baton": holder["baton"], "requests": [execute("COMMIT")] })).await;
    assert_eq!((status, told["code"].as_str()), (400, Some("STREAM_EXPIRED")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_in_its_time_and_nothing_after_it_runs() {
    let limits = Limits { statement: Duration::from_millis(300), ..Limits::default() };
    let (url, _) = served_within("time", limits).await;
    assert_eq!(answers(&url, ["CREATE TABLE t (a)"]).await, ["ok"]);
    let started = Instant::now();
    let slow = format!("INSERT INTO t {ENDLESS}");
    let ended = answers(&url, ["BEGIN", &slow, "INSERT INTO t VALUES (1)", "COMMIT"]).await;
    assert_eq!(ended, ["ok", "SQLITE_INTERRUPT", "SQLITE_INTERRUPT", "SQLITE_INTERRUPT"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(value(&url, "SELECT count(*) FROM t").await, "0");
    // Sequences too, each statement of which has its time.
    let sequence = json!({ "type": "sequence", "sql": format!("SELECT 1; {ENDLESS}; DROP TABLE t") });
    let (_, told) = pipeline(&url, json!({ "requests": [sequence] })).await;
    assert_eq!(told["results"][0]["error"]["code"], "SQLITE_INTERRUPT", "{told}");
    assert_eq!(value(&url, "SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vanished_client_left_running_ends() {
    let hour = Duration::from_secs(3600);
    let (url, _) =
        served_within("vanished", Limits { statement: hour, request: hour, running: 1, ..Limits::default() })
            .await;
    let body = json!({ "requests": [execute(ENDLESS)] }).to_string();
    for _ in 0..3 {
        let asked = sent(&url, TOKEN, &body, body.len());
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(asked);
        // There is one turn: it is free again.
        assert_eq!(answers(&url, ["SELECT 1"]).await, ["ok"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_one_size_for_all_its_statements() {
    let (url, _) = served("size").await;
    let large = ["SELECT hex(randomblob(1000000))"; 20];
    let told = answers(&url, large).await;
    assert_eq!(told.iter().filter(|code| *code == "ok").count(), 5, "{told:?}");
    assert!(told[5..].iter().all(|code| code == "RESPONSE_TOO_LARGE"), "{told:?}");
    let rows =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 150000) SELECT NULL FROM n";
    let one = ["SELECT zeroblob(100000000)", rows, "SELECT 1; SELECT 2", "", "SELECT 1\0"];
    let expected =
        ["SQLITE_TOOBIG", "RESPONSE_TOO_LARGE", "SQL_MANY_STATEMENTS", "SQL_NO_STATEMENT", "SQL_PARSE_ERROR"];
    assert_eq!(answers(&url, one).await, expected);
    let text = "x".repeat(300_000);
    let store = |id: u32| json!({ "type": "store_sql", "sql_id": id, "sql": text });
    let (_, told) = pipeline(&url, json!({ "requests": [store(1), store(2), store(3), store(4)] })).await;
    assert_eq!(told["results"][2]["type"], "ok");
    assert_eq!(told["results"][3]["error"]["code"], "SQL_STORE_FULL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_its_body_is_read_and_a_slow_body_has_its_time() {
    let (url, _) = served("bodies").await;
    let call = move || {
        let mut stranger = sent(&url, "wrong", "", 8_000_000);
        let refused = status_line(&mut stranger);
        let mut slow = sent(&url, TOKEN, "{", 100);
        let started = Instant::now();
        (refused, status_line(&mut slow), started.elapsed())
    };
    let (refused, slow, took) = tokio::task::spawn_blocking(call).await.unwrap();
    assert!(refused.contains("401"), "{refused}");
    assert!(slow.contains("408") && took > Duration::from_secs(5), "{slow} after {took:?}");
}

// === the program ===

/// `sentinel db` under a limit of open files, as `sh` sets it.
fn program(name: &str, more: &[&str]) -> Option<(stack::Server, PathBuf)> {
    let sentinel = sentinel_tests::sentinel()?;
    let folder = stack::work_folder(&format!("db-{name}")).unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\""]).arg(sentinel.get_program());
    command.arg("db").arg("--file").arg(folder.join("test.db"));
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--token", TOKEN]).args(more);
    let server = stack::Server::listening(command, port, &folder.join("db.log")).unwrap();
    Some((server, folder))
}

fn peak_mb(server: &stack::Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.group())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_silent_connections_keep_nobody_out() {
    let Some((server, _)) = program("silent", &[]) else { return };
    let address = server.url.trim_start_matches("http://").to_owned();
    let silent: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    assert_eq!(silent.len(), 200);
    let started = Instant::now();
    for _ in 0..5 {
        assert_eq!(answers(&server.url, ["SELECT 1"]).await, ["ok"]);
    }
    // Nor do those who send their request's head a byte at a time.
    let slow = sent(&server.url, TOKEN, "", 10);
    assert_eq!(answers(&server.url, ["SELECT 1"]).await, ["ok"]);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    drop((silent, slow));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_cut_off() {
    let Some((server, _)) = program("heads", &[]) else { return };
    let address = server.url.trim_start_matches("http://").to_owned();
    let call = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: db\r\n").unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(40) {
            std::thread::sleep(Duration::from_millis(250));
            if stream.write_all(b"x-y: z\r\n").is_err() {
                return started.elapsed();
            }
        }
        started.elapsed()
    };
    let took = tokio::task::spawn_blocking(call).await.unwrap();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_ends_what_runs() {
    let Some((mut server, _)) = program("stop", &["--statement-seconds", "3600"]) else { return };
    let body = json!({ "requests": [execute(ENDLESS)] }).to_string();
    let mut asked: Vec<_> = (0..3).map(|_| sent(&server.url, TOKEN, &body, body.len())).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stopped = Instant::now();
    Command::new("kill").args(["-TERM", &server.group().to_string()]).status().unwrap();
    while !server.has_ended() {
        assert!(stopped.elapsed() < Duration::from_secs(10), "it is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = tokio::task::spawn_blocking(move || status_line(&mut asked[0])).await.unwrap();
    assert!(told.contains("200"), "its client was told: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_large_blobs_takes_a_bounded_part_of_memory() {
    let Some((server, _)) = program("blobs", &[]) else { return };
    let before = peak_mb(&server);
    let step = |sql: &str| json!({ "stmt": { "sql": sql } });
    let steps: Vec<_> = ["SELECT zeroblob(9000000)", "SELECT randomblob(9000000)"]
        .repeat(100)
        .into_iter()
        .map(step)
        .collect();
    let batch = json!({ "type": "batch", "batch": { "steps": steps } });
    let started = Instant::now();
    let (status, _) = pipeline(&server.url, json!({ "requests": [batch, { "type": "close" }] })).await;
    let columns = vec!["randomblob(9000000)"; 400].join(", ");
    let wide = answers(&server.url, [format!("SELECT {columns}").as_str()]).await;
    assert_eq!((status, wide), (200, ["SQLITE_NOMEM".to_owned()]));
    let grown = peak_mb(&server) - before;
    assert!(grown < 600, "{grown} MB in {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_it_speaks_tls_alone() {
    let folder = stack::work_folder("db-certificate").unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).display().to_string()
    };
    let cert = write("cert.pem", certificate.cert.pem());
    let key = write("key.pem", certificate.signing_key.serialize_pem());
    let Some((server, _)) = program("tls", &["--tls-cert", &cert, "--tls-key", &key]) else { return };
    let port = server.url.rsplit(':').next().unwrap();
    let curl = |url: String| Command::new("curl").args(["-sS", "--cacert", &cert, &url]).output().unwrap();
    let answered = curl(format!("https://localhost:{port}/health"));
    assert_eq!(
        String::from_utf8_lossy(&answered.stdout),
        "ok",
        "{}",
        String::from_utf8_lossy(&answered.stderr)
    );
    assert!(!curl(format!("http://localhost:{port}/health")).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_stack_that_is_killed_leaves_no_server_behind() {
    if sentinel_tests::sentinel().is_none() || std::env::var_os("SENTINEL_WORKER").is_none() {
        return;
    }
    let folder = stack::work_folder("killed").unwrap();
    let log = folder.join("demo.log");
    let output = std::fs::File::create(&log).unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.args(["--data", &folder.display().to_string()]).stdout(output.try_clone().unwrap()).stderr(output);
    let mut demo = demo.spawn().unwrap();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !said().contains("Ctrl-C") {
        assert!(Instant::now() < deadline && demo.try_wait().unwrap().is_none(), "{}", said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = said();
    let addresses: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("database") || line.starts_with("worker"))
        .filter_map(|line| line.split("http://").nth(1)?.split_whitespace().next())
        .collect();
    assert_eq!(addresses.len(), 2, "{said}");
    demo.kill().unwrap();
    demo.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while addresses.iter().any(|address| TcpStream::connect(address).is_ok()) {
        assert!(Instant::now() < deadline, "a server of {addresses:?} is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Tells when an answer is let go.
struct Kept(mpsc::UnboundedSender<()>);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// So many pieces, of more than the system takes for a client that reads nothing.
fn pieces(count: usize, told: mpsc::UnboundedSender<()>) -> axum::body::Body {
    let pieces = futures_util::stream::unfold((0, Kept(told)), move |(at, kept)| async move {
        (at < count).then(|| {
            (Ok::<_, std::convert::Infallible>(axum::body::Bytes::from(vec![b'x'; 1 << 20])), (at + 1, kept))
        })
    });
    axum::body::Body::from_stream(pieces)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_its_answer_loses_it_and_a_slow_one_gets_all_of_it() {
    const COUNT: usize = 16;
    let (tell, mut told) = mpsc::unbounded_channel();
    let answer = move || {
        let body = pieces(COUNT, tell.clone());
        async { body }
    };
    let router = axum::Router::new().route("/", axum::routing::get(answer));
    let incoming = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = incoming.local_addr().unwrap();
    let unread = Duration::from_secs(2);
    let limits = listener::Limits { connections: 8, stalled: None, unread, drain: Duration::ZERO };
    tokio::spawn(listener::serve(incoming, (router, None), limits, std::future::pending()));
    let asked = async || {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        client
    };
    let silent = asked().await;
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(30), told.recv()).await.expect("it is let go");
    assert!(begun.elapsed() >= unread, "{:?}", begun.elapsed());
    drop(silent);

    let mut slow = asked().await;
    let (begun, mut read, mut buffer) = (Instant::now(), 0, vec![0; 1 << 18]);
    loop {
        match slow.read(&mut buffer).await.unwrap() {
            0 => break,
            bytes => read += bytes,
        }
        // Longer in all than a client may read nothing.
        if begun.elapsed() < 3 * unread {
            tokio::time::sleep(unread / 10).await;
        }
    }
    assert!(read > COUNT << 20 && begun.elapsed() >= 3 * unread, "{read} bytes in {:?}", begun.elapsed());
}
