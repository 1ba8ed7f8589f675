//! The shipped classifier.

use serde_json::Value;

/// The labelled records that may be redistributed; the whole validation split is left by
/// `python -m sentinel_training train --work DIR`.
pub(super) const DATA: &str = "tests/fixtures/ci_logs/validation.jsonl";

pub(super) fn table(report: &Value) -> String {
    let row = |name: &str, scores: &Value| {
        let figure = |key: &str| format!("{:.3}", scores[key].as_f64().unwrap_or(f64::NAN));
        format!(
            "| {name} | {} | {} | {} | {} |\n",
            scores["n"],
            figure("strict_accuracy"),
            figure("lenient_accuracy"),
            figure("macro_f1")
        )
    };
    let mut text =
        String::from("| | n | strict accuracy | lenient accuracy | macro-F1 |\n|---|---|---|---|---|\n");
    text += &row(&format!("**{}**", report["model_version"].as_str().unwrap_or_default()), report);
    for (name, scores) in report["subsets"].as_object().into_iter().flatten() {
        text += &row(&format!("– {}", name.replace('_', " ")), scores);
    }
    for (name, scores) in report["baselines"].as_object().into_iter().flatten() {
        text += &row(&format!("baseline: {}", name.replace('_', " ")), scores);
    }
    let figure = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
    text + &format!(
        "\nAnswers {:.0} % of the records and is right in {:.1} % of those; the rest is `Unknown`. Expected calibration error {:.3}.\n",
        figure("/selective/coverage") * 100.0,
        figure("/selective/accuracy") * 100.0,
        figure("/ece"),
    )
}
