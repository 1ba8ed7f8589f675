//! Tells the terms of a model as a person reads them. Programs get the terms as they are.

use crate::excerpt::{CAUSE_PREFIX, ERROR_PREFIX, Excerpt, stem};

/// Placeholders that masking puts into a line, and what they stand for.
const PLACEHOLDERS: [(&str, &str); 9] = [
    ("num", "a number"),
    ("path", "a path"),
    ("url", "an address"),
    ("hex", "a hexadecimal id"),
    ("duration", "a duration"),
    ("version", "a version"),
    ("ip", "an IP address"),
    ("email", "an e-mail address"),
    ("size", "a size"),
];
/// Parts of the names of signatures that are short for something.
const SHORT: [(&str, &str); 7] = [
    ("code", "error code"),
    ("fail", "failure"),
    ("gha", "GitHub Actions"),
    ("net", "network"),
    ("oom", "out of memory"),
    ("pkg", "package"),
    ("perm", "permission"),
];
/// Words before `code` that say already which code it is.
const CODED: [&str; 4] = ["error", "exit", "http", "status"];
/// Names of fields, and what they mean.
const FIELDS: [(&str, &str); 15] = [
    ("build_duration_sec", "time spent in build steps"),
    ("ci_tool", "CI system"),
    ("cloud_provider", "cloud"),
    ("cpu_usage_pct", "CPU use"),
    ("deploy_duration_sec", "time spent in deploy steps"),
    ("failure_stage", "stage"),
    ("incident_created", "an incident was opened"),
    ("is_flaky_test", "the test is known to be flaky"),
    ("language", "language"),
    ("memory_usage_mb", "memory use"),
    ("os", "operating system"),
    ("retry_count", "attempts before this one"),
    ("rollback_triggered", "a rollback followed"),
    ("severity", "severity"),
    ("test_duration_sec", "time spent in test steps"),
];

/// `term` in words: `err_resolv` is `“resolve” in an error line`. A word lost its ending when it became a term; the whole
/// word is that of `excerpt`, if it is there.
#[must_use]
pub fn words(term: &str, excerpt: &Excerpt) -> String {
    if let Some((field, level)) = term.split_once('=')
        && let Some(field) = looked_up(&FIELDS, field)
    {
        return format!("{field}: {level}");
    }
    let parts: Vec<&str> = term.split(' ').collect();
    let is_error = parts.iter().all(|part| part.starts_with(ERROR_PREFIX));
    let is_cause = parts.iter().all(|part| part.starts_with(CAUSE_PREFIX));
    let bare = parts.iter().map(|part| {
        part.strip_prefix(ERROR_PREFIX).or_else(|| part.strip_prefix(CAUSE_PREFIX)).unwrap_or(part)
    });
    let bare: Vec<&str> = bare.collect();
    let place = match () {
        () if is_cause => "in the deciding line",
        () if is_error => "in an error line",
        () => "in the log",
    };
    if let [part] = bare.as_slice() {
        if let Some(id) = part.strip_prefix("sig_") {
            return format!("signature: {}", signature(id));
        }
        if let Some(class) = part.strip_prefix("cue_") {
            let place = if place == "in the log" { String::new() } else { format!(" {place}") };
            return format!("a known message of the class {}{place}", title(class));
        }
        if let Some(name) = part.strip_prefix("at_") {
            return format!("“{}” in the step's or job's name", whole(name, excerpt));
        }
        if let Some(field) = looked_up(&FIELDS, part) {
            return field.to_owned();
        }
        if part.starts_with("conclusion_") {
            return "how GitHub says that the run ended".to_owned();
        }
    }
    if term.starts_with("repository/author hash") {
        return "the repository or the author".to_owned();
    }
    if let [part] = bare.as_slice() {
        if let Some(meaning) = looked_up(&PLACEHOLDERS, part) {
            return format!("{meaning} {place}");
        }
        if let Some(extension) = part.strip_prefix("ext_") {
            return format!("a .{extension} file {place}");
        }
    }
    let said: Vec<String> = bare.iter().map(|part| shown(part, excerpt)).collect();
    format!("“{}” {place}", said.join(" "))
}

/// A part of a term of several words.
fn shown(part: &str, excerpt: &Excerpt) -> String {
    match part.strip_prefix("ext_") {
        Some(extension) => format!("(.{extension})"),
        None => match looked_up(&PLACEHOLDERS, part) {
            Some(meaning) => format!("({meaning})"),
            None => whole(part, excerpt),
        },
    }
}

/// The first word of the excerpt that has this stem; the stem itself if there is none.
fn whole(part: &str, excerpt: &Excerpt) -> String {
    let is_break = |char: char| !char.is_ascii_alphabetic();
    let words = excerpt
        .lines
        .iter()
        .flat_map(|line| line.text.split(is_break))
        .filter(|word| word.len() >= part.len());
    let mut lower = words.map(str::to_ascii_lowercase);
    lower.find(|word| stem(word) == part).unwrap_or_else(|| part.to_owned())
}

/// `rustc_code` as `rustc error code`.
fn signature(id: &str) -> String {
    let parts: Vec<&str> = id.split('_').collect();
    let told = parts.iter().enumerate().map(|(at, part)| match looked_up(&SHORT, part) {
        Some(long) if !(*part == "code" && at > 0 && CODED.contains(&parts[at - 1])) => long,
        _ => part,
    });
    told.collect::<Vec<_>>().join(" ")
}

/// `build_failure` as `Build Failure`.
fn title(class: &str) -> String {
    let words = class.split('_').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect::<Vec<_>>().join(" ")
}

fn looked_up(table: &[(&'static str, &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_told_as_a_person_reads_them() {
        let log = "npm error ERESOLVE unable to resolve dependency tree\nError: could not find deployment\n";
        let excerpt = Excerpt::of(log.as_bytes());
        for (term, told) in [
            ("err_sig_rustc_code", "signature: rustc error code"),
            ("sig_exit_code_137", "signature: exit code 137"),
            ("sig_net_timeout", "signature: network timeout"),
            ("cue_build_failure", "a known message of the class Build Failure"),
            ("err_cue_timeout", "a known message of the class Timeout in an error line"),
            ("top_cue_timeout", "a known message of the class Timeout in the deciding line"),
            ("top_resolv", "“resolve” in the deciding line"),
            ("err_resolv", "“resolve” in an error line"),
            ("err_could err_not", "“could not” in an error line"),
            ("at_deploy", "“deploy” in the step's or job's name"),
            ("language=rust", "language: rust"),
            ("ci_tool=GitHub Actions", "CI system: GitHub Actions"),
            ("build_duration_sec", "time spent in build steps"),
            ("ext_rs", "a .rs file in the log"),
            ("err_path err_ext_py", "“(a path) (.py)” in an error line"),
            ("num fail", "“(a number) fail” in the log"),
            ("num", "a number in the log"),
            ("repository/author hash 12", "the repository or the author"),
        ] {
            assert_eq!(words(term, &excerpt), told, "{term}");
        }
    }
}
