//! Compares the documents with the code and with the measured figures.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "docs/openapi.rs"]
mod openapi;

use sentinel_node::learn::evaluation::classifier::{ClassifierReport, WordBaseline};
use sentinel_node::learn::failure_model;
use sentinel_node::learn::labelled_runs;
use serde_json::Value;
use std::path::Path;

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap()
}

fn manifest() -> Value {
    serde_json::from_str(&read("models/failure/manifest.json")).unwrap()
}

/// The shipped model on the redistributable validation records.
fn report() -> Value {
    let bundle = failure_model::load(None).unwrap();
    let baseline = WordBaseline::parse(read("models/failure/baseline.json").as_bytes()).unwrap();
    let records = labelled_runs::read(&root("tests/fixtures/ci_logs/validation.jsonl")).unwrap();
    serde_json::to_value(ClassifierReport::of(&bundle, &baseline, &records).unwrap()).unwrap()
}

/// The figures of one row of a table: `0.793 ± 0.009` of `| full | 0.793 ± 0.009 | … |`.
fn cells<'a>(document: &'a str, row: &str) -> Vec<&'a str> {
    let start = format!("| {row} |");
    let line = document.lines().find_map(|line| line.strip_prefix(&start)).expect("the table has the row");
    line.trim_end_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_readme_leads_with_the_cards_cross_validated_figures_and_shows_no_single_fold() {
    let (manifest, readme, card) = (manifest(), read("README.md"), read("models/failure/README.md"));
    let version = manifest["model_version"].as_str().unwrap();
    let full = cells(&card, "full");
    assert_eq!(cells(&readme, &format!("**{version}**")), full[..4], "run `cargo xtask eval --write`");
    let fold = format!("{:.3}", manifest["metrics"]["macro_f1"].as_f64().unwrap());
    assert!(
        !readme.contains(&fold),
        "{fold} is the figure of one fold: the README shows the cross-validated one"
    );
}

#[test]
fn the_shipped_model_beats_its_baselines_on_the_redistributable_validation_records() {
    let report = report();
    let strict = |scores: &Value| scores["strict_accuracy"].as_f64().unwrap();
    for (name, scores) in report["baselines"].as_object().unwrap() {
        assert!(strict(&report) > strict(scores), "{name}: {} against {}", strict(scores), strict(&report));
    }
}

#[test]
fn every_service_that_a_document_names_is_in_the_protocol() {
    let proto = read("proto/sentinel/review/v1/review.proto");
    let package = proto.lines().find_map(|line| line.strip_prefix("package ")).unwrap().trim_end_matches(';');
    let services: Vec<String> = proto
        .lines()
        .filter_map(|line| line.strip_prefix("service ")?.split(' ').next())
        .map(|service| format!("{package}.{service}"))
        .collect();
    let mut named = 0;
    for page in ["README.md", "ARCHITECTURE.md", "docs/parity.toml", "docs/parity.md", "docs/deploy.md"] {
        let text = read(page);
        let words = text.split(|at: char| !at.is_ascii_alphanumeric() && at != '.' && at != '_');
        for word in words.filter(|word| word.starts_with("sentinel.") && word.ends_with("Service")) {
            assert!(services.iter().any(|service| service == word), "{page} names {word}: {services:?}");
            named += 1;
        }
    }
    assert!(named > 0, "a document names the service");
}

#[test]
fn the_named_terms_carry_the_verdict() {
    let report = report();
    assert!(report["attribution"]["n"].as_u64().unwrap() >= report["n"].as_u64().unwrap() * 9 / 10);
    assert!(report["attribution"]["lowered"].as_f64().unwrap() >= 0.95, "{}", report["attribution"]);
}

#[test]
fn the_cards_first_row_is_what_its_figures_file_says() {
    let card: Value = serde_json::from_str(&read("models/failure/card.json")).unwrap();
    let shown: Vec<String> = card["ablation"]["full"]
        .as_object()
        .unwrap()
        .values()
        .map(|pair| format!("{:.3} ± {:.3}", pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap()))
        .collect();
    let readme = read("models/failure/README.md");
    let row = readme.lines().find(|line| line.starts_with("| full |")).expect("the card has its first row");
    for figure in shown {
        assert!(row.contains(&figure), "{figure} is not in {row}: run `python -m sentinel_training card`");
    }
}

#[test]
fn the_validation_figure_is_over_the_gate() {
    assert!(manifest()["metrics"]["macro_f1"].as_f64().unwrap() >= 0.65);
}

#[test]
fn every_copied_record_may_be_redistributed() {
    for line in read("tests/fixtures/ci_logs/validation.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let license = record["license"].as_str().unwrap().trim_end_matches(" (repository)");
        assert!(["MIT", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "Unlicense"].contains(&license), "{record}");
    }
}

#[test]
fn the_readmes_review_figures_are_the_model_cards_and_its_model_the_shipped_one() {
    let card: Value = serde_json::from_str(&read("models/review/card.json")).unwrap();
    let manifest: Value = serde_json::from_str(&read("models/review/manifest.json")).unwrap();
    assert_eq!(card["model_version"], manifest["model_version"]);
    let figure = |pointer: &str| card.pointer(pointer).and_then(Value::as_f64).unwrap();
    let row = format!(
        "| **{}** | {:.3} ({:.3}–{:.3}) | {:.3} ({:.3}–{:.3}) |",
        card["model_version"].as_str().unwrap(),
        figure("/needs_comment/roc_auc"),
        figure("/needs_comment/roc_auc_interval/0"),
        figure("/needs_comment/roc_auc_interval/1"),
        figure("/needs_comment/pr_auc"),
        figure("/needs_comment/pr_auc_interval/0"),
        figure("/needs_comment/pr_auc_interval/1"),
    );
    let readme = read("README.md");
    assert!(readme.contains(&row), "the README lacks {row}: run `cargo xtask eval review --data … --write`");
    let control = format!("| control: bag of words | {:.3} |", figure("/controls/bag_of_words/roc_auc"));
    assert!(readme.contains(&control), "{control}");
    let paper = read("models/review/README.md");
    assert!(paper.contains(&format!("{:.3}", figure("/needs_comment/roc_auc"))));
}

#[test]
fn every_alert_has_its_page_in_the_runbook() {
    let rules = read("deploy/prometheus/alerts.yml");
    let runbook = read("docs/runbook.md");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        assert!(runbook.contains(&format!("\n## {alert}\n")), "{alert} has no page");
        assert!(
            rules.contains(&format!("docs/runbook.md#{}", alert.to_lowercase())),
            "{alert} names no page"
        );
    }
}

/// The text of each Rust file of a crate, under its path.
fn sources_of(package: &str) -> Vec<(String, String)> {
    let (mut folders, mut sources) = (vec![root(package).join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources
}

#[test]
fn every_function_of_the_walks_exists() {
    let page = read("ARCHITECTURE.md");
    let crates = ["shared", "edge", "node"].map(|package| (package, sources_of(package)));
    let mut steps = 0;
    for walk in page.split("\n### The walk of ").skip(1) {
        let walk = walk.split("\n## ").next().unwrap_or_default();
        for row in walk.lines().filter_map(|line| line.strip_prefix("| `")) {
            let cells: Vec<&str> = row.split('`').step_by(2).collect();
            let (package, file, function) = (cells[0], format!("/{}", cells[1]), cells[2]);
            let (_, sources) = crates.iter().find(|(name, _)| *name == package).expect("the crate exists");
            let is_there = sources.iter().filter(|(path, _)| path.ends_with(&file)).any(|(_, text)| {
                ["(", "<"].iter().any(|next| text.contains(&format!("fn {function}{next}")))
            });
            assert!(is_there, "{package}: {file} has no function {function}");
            steps += 1;
        }
    }
    assert!(steps > 30, "only {steps} steps were found");
}

// === generated tables ===

/// Holds the part of `path` between the marks of `name` to be `table`; with SENTINEL_WRITE_DOCS set, writes it there.
fn holds(path: &str, name: &str, table: &str) {
    let text = read(path);
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), "<!-- /generated -->");
    let start = text.find(&begin).expect("the document has its mark") + begin.len();
    let stop = start + text[start..].find(end).expect("the part ends");
    if std::env::var_os("SENTINEL_WRITE_DOCS").is_some() {
        std::fs::write(root(path), format!("{}{table}{}", &text[..start], &text[stop..])).unwrap();
    } else {
        let again = "SENTINEL_WRITE_DOCS=1 cargo test -p sentinel-tests --test docs";
        assert_eq!(&text[start..stop], table, "{path} is behind: run `{again}`");
    }
}

/// All sources in which tests are named.
fn test_sources() -> String {
    let folders = ["tests", "shared/src", "node/src", "proto/src", "training/tests"];
    sources(&folders).into_iter().map(|(_, text)| text).collect()
}

/// The path and text of every program file in these folders.
fn sources(folders: &[&str]) -> Vec<(std::path::PathBuf, String)> {
    let mut folders: Vec<_> = folders.iter().map(|folder| root(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "fixtures" {
                folders.push(path);
            } else if [".rs", ".py"].iter().any(|end| name.ends_with(end)) {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    sources
}

/// No Windows is there to build for: what it lacks must at least stand behind its condition.
#[test]
fn what_only_unix_has_is_behind_its_condition() {
    let mut found = 0;
    for (path, text) in sources(&["node/src", "shared/src", "proto/src"]) {
        let lines: Vec<&str> = text.lines().collect();
        for at in
            (0..lines.len()).filter(|at| lines[*at].contains("os::unix") || lines[*at].contains("rustix::"))
        {
            let is_behind = lines[at.saturating_sub(4)..at].iter().any(|before| before.contains("cfg(unix)"));
            assert!(is_behind, "{}:{}", path.display(), at + 1);
            found += 1;
        }
    }
    assert!(found > 0);
}

#[test]
fn every_row_of_the_parity_table_has_a_proof_or_a_reason() {
    let listed: toml::Table = read("docs/parity.toml").parse().unwrap();
    let (sources, mut table) =
        (test_sources(), "| of | they had | here | proof |\n|---|---|---|---|\n".to_owned());
    let rows = listed["row"].as_array().unwrap();
    assert!(rows.len() >= 45, "{} rows", rows.len());
    for row in rows {
        let field = |name: &str| row.get(name).and_then(toml::Value::as_str);
        let proofs: Vec<&str> = row
            .get("proof")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str)
            .collect();
        for proof in &proofs {
            let is_test = sources.contains(&format!("fn {proof}("))
                || sources.contains(&format!("\"{proof}\""))
                || sources.contains(&format!("def {proof}("));
            assert!(is_test || root(proof).exists(), "{proof} proves {:?}, and is nowhere", field("had"));
        }
        let shown = match field("reason") {
            Some(reason) => reason.to_owned(),
            None => proofs.iter().map(|proof| format!("`{proof}`")).collect::<Vec<_>>().join("<br>"),
        };
        assert!(!shown.is_empty(), "{:?} has neither proof nor reason", field("had"));
        let cell = |name: &str| field(name).expect("a row has it").replace('|', "\\|");
        table += &format!("| {} | {} | {} | {shown} |\n", cell("of"), cell("had"), cell("here"));
    }
    holds("docs/parity.md", "parity", &table);
}

#[test]
fn every_setting_of_the_code_is_in_its_reference() {
    // The worker's: the comment of each field of its configuration begins with the names it is read from.
    let source = read("edge/src/config.rs");
    let mut table = "| setting | what it is |\n|---|---|\n".to_owned();
    let mut comment = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push_str(text);
            comment.push(' ');
            continue;
        }
        if let Some((names, about)) =
            comment.trim().split_once(": ").filter(|(names, _)| names.starts_with('`'))
        {
            table += &format!("| {names} | {about} |\n");
        } else if comment.starts_with('`') {
            table += &format!("| {} | |\n", comment.trim().trim_end_matches('.'));
        }
        comment.clear();
    }
    for name in source
        .split("text(\"")
        .chain(source.split("secret(\""))
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            !name.starts_with(char::is_uppercase) || table.contains(name),
            "{name} is read and not described"
        );
    }
    holds("docs/configuration.md", "worker", &table);
    let command =
        <sentinel_node::operate::config::Settings as clap::Args>::augment_args(clap::Command::new("serve"));
    let table = settings_of(&command);
    holds("docs/configuration.md", "node", &table);
    let commands = sentinel_tests::commands();
    let database = commands.iter().find(|command| command.get_name() == "db").unwrap();
    holds("docs/configuration.md", "database", &settings_of(database));
}

/// A row for each flag of a command.
fn settings_of(command: &clap::Command) -> String {
    let mut table = "| variable | flag | default | what it is |\n|---|---|---|---|\n".to_owned();
    for argument in command.get_arguments() {
        let variable =
            argument.get_env().map_or_else(String::new, |name| format!("`{}`", name.to_string_lossy()));
        let default: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
        table += &format!(
            "| {variable} | `--{}` | {} | {about} |\n",
            argument.get_long().unwrap(),
            default.join(",")
        );
    }
    table
}

/// The arguments of every `sentinel …` that a text shows: at the start of a line, after a pipe, and in backticks.
fn commands_shown(text: &str) -> Vec<Vec<String>> {
    let placeholder = |words: &str| {
        let mut plain = String::new();
        let mut rest = words;
        while let Some((before, after)) = rest.split_once('<') {
            plain = plain + before + "X";
            rest = after.split_once('>').map_or("", |(_, after)| after);
        }
        plain + rest
    };
    let text = text.replace("\\\n", " ");
    let starts = ["\nsentinel ", "\n  sentinel ", "\n$ sentinel ", "| sentinel ", "`sentinel "];
    let mut shown = Vec::new();
    for start in starts {
        for rest in text.split(start).skip(1) {
            let ends = ["\n", "`", " | ", " #", " > ", " && ", ";"];
            let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
            // `list|dead|retry` names three.
            let mut commands = vec![vec!["sentinel".to_owned()]];
            for word in placeholder(&rest[..end]).split_whitespace() {
                let longer = commands.iter().flat_map(|command| {
                    word.split('|').map(|word| [command.as_slice(), &[word.to_owned()]].concat())
                });
                commands = longer.collect();
            }
            shown.extend(commands);
        }
    }
    shown
}

#[test]
fn every_command_a_document_or_a_help_text_shows_is_one_that_the_program_knows() {
    use clap::Parser;
    use clap::error::ErrorKind;
    use sentinel_node::cli::Cli;
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "training/README.md",
    ];
    let folders = ["docs", "models/failure", "models/review"];
    let in_folders = folders.iter().flat_map(|folder| std::fs::read_dir(root(folder)).unwrap());
    let paths = pages.iter().map(|page| root(page)).chain(in_folders.map(|entry| entry.unwrap().path()));
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut texts: Vec<(String, String)> =
        paths.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect();
    for command in sentinel_tests::commands() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        texts.push((format!("--help of {}", command.get_name()), examples));
    }
    let mut known = 0;
    for (place, text) in texts {
        for command in commands_shown(&text) {
            let Err(error) = Cli::try_parse_from(&command) else {
                known += 1;
                continue;
            };
            // Prose names a command without what it needs.
            let is_short = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            assert!(is_short, "{place}: `{}`: {error}", command.join(" "));
        }
    }
    assert!(known > 40, "only {known} commands were found");
}
