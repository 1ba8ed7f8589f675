//! The embedded database server, as the clients people use meet it: raw Hrana, the `libsql` crate's remote
//! client, and npm's `@libsql/client`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use libsql::Builder;
use sentinel_node::hrana::Server;
use sentinel_shared::signature::Secret;
use sentinel_shared::store::MIGRATIONS;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const TOKEN: &str = "token";

/// A served database in a folder of its own; the runtime's end stops it.
async fn served(name: &str) -> (String, PathBuf) {
    let folder = sentinel_tests::stack::work_folder(&format!("hrana-{name}")).unwrap();
    let file = folder.join("test.db");
    let server = Server::open(&file, Secret::new(TOKEN)).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, server.router()).await });
    (url, file)
}

async fn pipeline(url: &str, body: Value) -> (u16, Value) {
    let url = format!("{url}/v2/pipeline");
    let call = move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut response =
            agent.post(url).header("authorization", format!("Bearer {TOKEN}")).send_json(body).unwrap();
        let status = response.status().as_u16();
        (status, response.body_mut().read_json().unwrap_or_default())
    };
    tokio::task::spawn_blocking(call).await.unwrap()
}

fn execute(sql: &str) -> Value {
    json!({ "type": "execute", "stmt": { "sql": sql } })
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
