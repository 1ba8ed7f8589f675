//! Hrana: any answer of a database is read or refused, any request of a client is parsed or refused, and our server
//! understands our own requests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use libsql_hrana::proto;
use sentinel_shared::store::hrana::{answer, batch};
use sentinel_shared::store::{Lock, Statement, Value};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let _ = answer(&text);
    let _ = serde_json::from_slice::<proto::CursorReqBody>(input);
    let _ = serde_json::from_slice::<proto::PipelineReqBody>(input);
    let statement = Statement {
        sql: "-- fuzz\nSELECT ?1, ?2",
        args: vec![Value::Text(text.clone().into_owned()), Value::Integer(input.len() as i64)],
    };
    let asked: proto::PipelineReqBody =
        serde_json::from_str(&batch(Lock::Write, &[statement])).expect("a server reads what we write");
    let Some(proto::StreamRequest::Batch(asked)) = asked.requests.first() else { panic!("a batch") };
    let proto::Value::Text { value } = &asked.batch.steps[1].stmt.args[0] else { panic!("a text") };
    assert_eq!(&**value, &*text);
});
