//! The review model as trainers and evaluators use it: `sentinel eval review` and `sentinel encode`.

use sentinel_node::review::backend::ort::{BackendOptions, Pool, Provider};
use sentinel_node::review::model::ReviewModel;
use sentinel_tests::stack::work_folder;
use serde_json::{Value, json};
use std::path::Path;

const LABELLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/labelled_hunks.jsonl");

/// What the built program prints, or None where `cargo xtask` did not name it.
fn sentinel(args: &[&str]) -> Option<String> {
    let output = sentinel_tests::sentinel()?.args(args).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The tokens of `records`, as `sentinel encode` writes them.
fn tokens(folder: &Path, records: &[Value]) -> Option<Vec<Value>> {
    let (data, out) = (folder.join("records.jsonl"), folder.join("pieces.jsonl"));
    let text: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(&data, text.join("\n")).expect("the folder takes files");
    sentinel(&["encode", "--data", data.to_str()?, "--out", out.to_str()?])?;
    Some(lines(&out).into_iter().map(|mut piece| piece["ids"].take()).collect())
}

#[test]
fn nothing_but_the_path_and_the_hunk_reaches_the_tokenizer() {
    let folder = work_folder("fields").expect("a folder");
    let records = lines(Path::new(LABELLED));
    let Some(before) = tokens(&folder, &records) else { return };
    let mut told = records.clone();
    for record in &mut told {
        let fields = record.as_object_mut().expect("an object");
        let severity = if fields["severity"] == "none" { "critical" } else { "none" };
        fields.retain(|name, _| ["path", "hunk"].contains(&name.as_str()));
        fields.extend([
            ("severity".to_owned(), json!(severity)),
            ("category".to_owned(), json!("security")),
            ("lines".to_owned(), json!([0, 1, 2])),
            ("repo".to_owned(), json!("somebody/else")),
            ("lang".to_owned(), json!("COBOL")),
            ("conf".to_owned(), json!(3)),
            ("n_repairs".to_owned(), json!(9)),
            ("repair_subject".to_owned(), json!("Fix a crash that this hunk brought in")),
        ]);
    }
    assert_eq!(tokens(&folder, &told).expect("the program is there"), before);
    // And those two do.
    for (field, value) in [("path", "src/other.rs"), ("hunk", "@@ -1 +1,2 @@\n a\n+b\n")] {
        let mut other = records.clone();
        other[0][field] = json!(value);
        assert_ne!(tokens(&folder, &other).expect("the program is there")[0], before[0], "{field}");
    }
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

#[test]
fn what_ends_early_leaves_no_tokens_that_look_like_all() {
    let folder = work_folder("early").expect("a folder");
    let (data, out) = (folder.join("records.jsonl"), folder.join("pieces.jsonl"));
    let mut records = lines(Path::new(LABELLED));
    let mut cut = records[0].clone();
    cut["hunk"] = json!("@@ -1 +1,9 @@\n a\n+b");
    records.push(cut);
    let text: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(&data, text.join("\n")).expect("the folder takes files");
    let Some(mut command) = sentinel_tests::sentinel() else { return };
    let output =
        command.args(["encode", "--data"]).arg(&data).arg("--out").arg(&out).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains(&format!("record {}", records.len())), "{told}");
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 1, "only what was there before");
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

#[test]
fn the_evaluation_has_every_figure_with_the_controls_beside_it() {
    let Some(output) = sentinel(&["eval", "review", "--data", LABELLED, "--json"]) else { return };
    let report: Value = serde_json::from_str(&output).expect("one JSON document");
    for figure in [
        "/needs_comment/roc_auc",
        "/needs_comment/pr_auc",
        "/needs_comment/f1",
        "/needs_comment/precision_at_1",
        "/needs_comment/precision_at_3",
        "/severity/macro_f1",
        "/category/macro_f1",
        "/lines/hit1",
        "/lines/hit3",
        "/lines/random_hit1",
        "/controls/majority/roc_auc",
        "/controls/size/roc_auc",
        "/controls/bag_of_words/roc_auc",
        "/controls/shuffled/roc_auc",
        "/calibration/ece",
    ] {
        let value = report.pointer(figure).and_then(Value::as_f64);
        assert!(value.is_some_and(|value| (0.0..=1.0).contains(&value)), "{figure}: {value:?}");
    }
    assert_eq!(report["n"], 196);
    assert_eq!(report["controls"]["majority"]["roc_auc"], 0.5);
    let hits = |key: &str| report["lines"][key].as_f64().expect("a number");
    assert!(hits("hit3") >= hits("hit1"));
}

#[test]
fn a_record_that_is_none_is_named() {
    let Some(mut command) = sentinel_tests::sentinel() else { return };
    let folder = work_folder("bad-record").expect("a folder");
    let data = folder.join("bad.jsonl");
    let record =
        json!({"repo": "o/r", "path": "a.rs", "hunk": "not a hunk", "severity": "none", "category": "other"});
    std::fs::write(&data, record.to_string()).expect("the folder takes files");
    let output = command.args(["eval", "review", "--data"]).arg(&data).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("record 1") && said.contains("hunk"), "{said}");
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

#[test]
fn a_model_without_an_output_that_is_expected_is_refused_by_name() {
    let mut model = ReviewModel::embedded().expect("the embedded model");
    // Renamed wherever it is named; the same length keeps all other bytes where they are.
    let (name, other) = (b"needs_comment", b"needs_nothing");
    let onnx = model.onnx.to_mut();
    let places: Vec<usize> =
        (0..onnx.len() - name.len()).filter(|at| &onnx[*at..at + name.len()] == name).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| onnx[*at..at + name.len()].copy_from_slice(other));
    let options = BackendOptions { provider: Provider::Cpu, sessions: Some(1), library: None };
    let refused = Pool::load(&model, &options).err().expect("it can't be served").to_string();
    assert!(refused.contains("needs_comment"), "{refused}");
}
