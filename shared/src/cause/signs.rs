//! What a line looks like: the words in it, its shape, and where it stands in its step. The scorer reads these numbers.

use super::{KeptLine, KeptStep};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::sync::LazyLock;

/// Groups of words, each one column: how often any of them occurs in the line. Lower case; case does not matter.
const GROUPS: &[(&str, &[&str])] = &[
    ("error", &["error"]),
    ("error_colon", &["error:", "error -", "error ("]),
    ("fatal", &["fatal", "panic", "abort"]),
    ("fail", &["fail"]),
    ("exception", &["exception", "traceback", "caused by"]),
    (
        "denied",
        &[
            "denied",
            "forbidden",
            "unauthorized",
            "not accessible",
            "not granted",
            "401",
            "403",
            "permission",
            "credential",
            "not authorized",
            "authenticat",
        ],
    ),
    (
        "absent",
        &[
            "not found",
            "no such",
            "cannot find",
            "could not find",
            "can't find",
            "couldn't find",
            "missing",
            "not exist",
            "unable to find",
            "no matching",
            "not recognized",
            "required",
            "not in path",
            "unable to locate",
        ],
    ),
    (
        "unable",
        &[
            "cannot",
            "can't",
            "could not",
            "couldn't",
            "unable to",
            "failed to",
            "not supported",
            "not allowed",
        ],
    ),
    ("timeout", &["timed out", "timeout", "time out", "deadline", "exceeded", "too long"]),
    (
        "killed",
        &[
            "killed",
            "out of memory",
            "no space",
            "heap limit",
            "oom",
            "shutdown signal",
            "lost communication",
            "segmentation",
            "sigkill",
            "rate limit",
            "quota",
            "toomanyrequests",
        ],
    ),
    (
        "invalid",
        &[
            "invalid",
            "unexpected",
            "unknown",
            "unsupported",
            "illegal",
            "incompatible",
            "mismatch",
            "unresolved",
            "undefined",
            "not valid",
            "conflict",
            "unrecognized",
            "syntax",
        ],
    ),
    ("expected", &["expected", "assert", "received", "actual", "should"]),
    ("canceled", &["cancel"]),
    ("vulnerable", &["vulnerab", "cve-", "advisory", "ghsa-", "severity"]),
    (
        "network",
        &[
            "connection",
            "econn",
            "etimedout",
            "eai_again",
            "resolve host",
            "getaddrinfo",
            "certificate",
            "tls",
            "ssl",
            "502",
            "503",
            "504",
            "refused",
            "unreachable",
            "reset by peer",
            "dial tcp",
        ],
    ),
    (
        "version",
        &["version", "requires", "constraint", "compatible", "resolve", "lockfile", "lock file", "package"],
    ),
    (
        "none",
        &[
            "0 error",
            "0 fail",
            "no error",
            "0 vulnerab",
            "0 warning",
            "errors: 0",
            "failures: 0",
            "failed: 0",
            "skipped",
            "ignored",
            "allow",
        ],
    ),
    (
        "advice",
        &[
            "see ",
            "for more",
            "run `",
            "hint",
            "note:",
            "help:",
            "try ",
            "please",
            "docs.",
            "tip:",
            "consider",
            "learn more",
            "to fix",
            "use --",
            "--verbose",
            "--info",
            "--debug",
            "--stacktrace",
            "re-run",
        ],
    ),
    ("url", &["http://", "https://"]),
    ("warning", &["warn", "deprecat", "notice"]),
    (
        "consequence",
        &[
            "exit code",
            "exit status",
            "exited with",
            "non-zero",
            "nonzero",
            "complete log of this run",
            "elifecycle",
            "lifecycle script",
            "command failed",
            "make: ***",
            "make[",
            "build failed",
            "what went wrong",
            "could not compile",
            "aborting due to",
            "previous error",
            "job failed",
            "returned a",
            "script failed",
            "task failed",
            "error: process",
        ],
    ),
    (
        "heading",
        &[
            "failures:",
            "= failures",
            "= errors",
            "short test summary",
            "failed tests",
            "summary",
            "details",
            "error log",
        ],
    ),
    ("success", &["success", "passed", "✓", "✔", "√", " ok", "done", "complete", "finished"]),
    ("mark", &["✗", "✕", "✖", "❌", "×", "⨯", "●", "✘"]),
    (
        "progress",
        &[
            "downloading",
            "installing",
            "collecting",
            "cached",
            "fetch",
            "extracting",
            "resolving",
            "building",
            "compiling",
        ],
    ),
    ("artifact", &["artifact", "upload", "cache", "cleanup", "cleaning", "docker logs", "container"]),
    (
        "trace",
        &[
            "node_modules",
            "site-packages",
            "node:internal",
            "/usr/lib",
            "runtime/",
            "java.base",
            "<anonymous>",
            "stack trace",
        ],
    ),
    (
        "echo",
        &["env:", "shell:", "with:", "if [", "echo ", "|| ", "&& ", "exit 1", "set -e", "run: ", "grep "],
    ),
    ("test", &["test", "spec", "suite"]),
    (
        "telling",
        &[
            "toomanyrequests",
            "access to repository not granted",
            "no matching distribution",
            "no space left",
            "no installation candidate",
            "can only install",
            "missing credentials",
            "resource not accessible",
            "heap out of memory",
            "command not found",
            "cannot find module",
            "modulenotfounderror",
            "no module named",
            "is not recognized",
            "eresolve",
            "unable to resolve",
            "input required",
            "treated as error",
            "threshold",
            "not reached",
            "fail-under",
            "cannot publish over",
            "assertionerror",
            "permission denied",
            "invalid workflow",
            "does not contain a",
            "undefined reference",
            "cannot find symbol",
            "cannot find name",
            "no such file or directory",
            "resolutionimpossible",
            "requires a different",
            "connection reset",
            "connection refused",
            "could not resolve host",
            "exit code 137",
            "operation was canceled",
            "maximum execution time",
            "signal 11",
            "unresolved reference",
            "code style",
            "would reformat",
            "reformatted",
            "formatting",
            "not formatted",
            "outdated",
            "not up to date",
            "out of date",
            "no test",
        ],
    ),
    ("info", &[" info ", "info:", "info -", "[info]", "level=info", "debug", "verbose"]),
    (
        "typed",
        &[
            "error ts",
            "error[e",
            "error cs",
            "error c",
            "err_",
            "npm error code",
            "error nu",
            "errno",
            "[error]",
        ],
    ),
];

/// Ways a line begins, each one column.
const BEGINNINGS: &[(&str, &[&str])] = &[
    ("begins_error_command", &["##[error]"]),
    ("begins_command", &["##[", "[command]", "::"]),
    (
        "begins_error",
        &["error", "Error", "ERROR", "[ERROR]", "[error]", "ERR!", "fatal", "FATAL", "E: ", "e: "],
    ),
    ("begins_fail", &["FAIL", "--- FAIL", "✗", "✕", "✖", "❌", "×", "●", "not ok", "FAILED"]),
    ("begins_pytest", &["E  ", ">  ", "E\t"]),
    ("begins_frame", &["at ", "File \"", "from ", "in ", "#", "...", "---> "]),
    ("begins_npm", &["npm ERR!", "npm error", "pnpm", "yarn", "ERR_PNPM", "ELIFECYCLE"]),
    ("begins_source", &["-->", "|", "^", "~", "=", "+", "-", "$", ">", "<"]),
    (
        "begins_cause",
        &[
            "Caused by",
            "caused by",
            "Reason",
            "Because",
            "Cause",
            "panicked",
            "thread '",
            "Traceback",
            "remote:",
        ],
    ),
    ("begins_exit", &["##[error]Process completed with exit code"]),
    ("begins_canceled", &["##[error]The operation was canceled", "##[error]The runner has"]),
    ("begins_warning", &["##[warning]", "warning", "Warning", "WARN", "WARNING", "[WARN"]),
];

/// Numbers of the line's shape and place; see [`row`].
const SHAPES: &[&str] = &[
    "length",
    "indent",
    "words",
    "digits",
    "capitals",
    "ends_with_colon",
    "has_place",
    "has_quotes",
    "is_count",
    "is_signal",
    "in_group",
    "previous_blank",
    "next_blank",
    "previous_indent",
    "next_indent",
    "previous_signal",
    "next_signal",
    "signals_before",
    "signals_after",
    "from_start",
    "to_end",
    "to_error",
    "repeats",
    "step_errors",
    "step_has_exit",
    "step_from_first_error",
    "step_from_last_error",
    "steps_after",
    "step_is_last",
    "step_is_clean_up",
    "job_has_error",
    "share_of_step",
    "exception_name",
    "error_is_first",
    "previous_is_trace",
    "next_is_trace",
    "ends_with_zero",
    "marks",
    "repeats_before",
];

/// The number of numbers of a line.
pub const SIGNS: usize = GROUPS.len() + BEGINNINGS.len() + SHAPES.len();

static WORDS: LazyLock<(AhoCorasick, Vec<u8>)> = LazyLock::new(|| {
    let words = GROUPS.iter().flat_map(|(_, words)| *words);
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(words)
        .expect("the words are constant");
    let owners = (0u8..).zip(GROUPS).flat_map(|(at, (_, words))| words.iter().map(move |_| at)).collect();
    (automaton, owners)
});

/// The names of the numbers, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    let groups = GROUPS.iter().map(|(name, _)| *name);
    groups.chain(BEGINNINGS.iter().map(|(name, _)| *name)).chain(SHAPES.iter().copied())
}

/// The place of a step among those of its job.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepPlace {
    /// Steps with a reported error before and after this one.
    pub(super) errors_before: usize,
    pub(super) errors_after: usize,
    pub(super) steps_after: u64,
    pub(super) job_has_error: bool,
}

/// The numbers of line `at` of `step`.
pub(super) fn row(step: &KeptStep, at: usize, place: StepPlace, repeats: usize) -> [f32; SIGNS] {
    let mut row = [0f32; SIGNS];
    let (words, rest) = row.split_at_mut(GROUPS.len());
    let (beginnings, shapes) = rest.split_at_mut(BEGINNINGS.len());
    let kept = &step.lines[at];
    let text = kept.text.as_str();
    let (automaton, owners) = &*WORDS;
    for found in automaton.find_overlapping_iter(text) {
        words[usize::from(owners[found.pattern().as_usize()])] += 1.0;
    }
    let trimmed = text.trim_start();
    for (column, (_, beginnings)) in beginnings.iter_mut().zip(BEGINNINGS) {
        *column = flag(beginnings.iter().any(|beginning| trimmed.starts_with(beginning)));
    }
    let neighbour = |by: isize| -> Option<&KeptLine> {
        let other = step.lines.get(at.checked_add_signed(by)?)?;
        (other.offset.abs_diff(kept.offset) == 1).then_some(other)
    };
    let (previous, next) = (neighbour(-1), neighbour(1));
    let mine = indent(text);
    let until = step.len.saturating_sub(kept.offset);
    let signals_before = step.lines[..at].iter().filter(|line| line.signal).count();
    let signals_after = step.lines[at + 1..].iter().filter(|line| line.signal).count();
    let previous_signal = step.lines[..at].iter().rev().find(|line| line.signal);
    let next_signal = step.lines[at + 1..].iter().find(|line| line.signal);
    let to_error = step.lines[at..].iter().find(|line| line.text.starts_with("##[error]"));
    let characters = text.chars().count().max(1) as f32;
    let values = [
        characters.ln(),
        mine as f32,
        text.split_ascii_whitespace().count() as f32,
        text.bytes().filter(u8::is_ascii_digit).count() as f32 / characters,
        text.bytes().filter(u8::is_ascii_uppercase).count() as f32 / characters,
        flag(text.trim_end().ends_with(':')),
        flag(has_place(text)),
        text.matches(['\'', '"', '`']).count().min(8) as f32,
        flag(is_count(text)),
        flag(kept.signal),
        flag(kept.in_group),
        previous.map_or(-1.0, |line| flag(line.text.trim().is_empty())),
        next.map_or(-1.0, |line| flag(line.text.trim().is_empty())),
        previous.map_or(0.0, |line| indent(&line.text) as f32 - mine as f32),
        next.map_or(0.0, |line| indent(&line.text) as f32 - mine as f32),
        previous_signal.map_or(99.0, |line| (kept.offset - line.offset).min(99) as f32),
        next_signal.map_or(99.0, |line| (line.offset - kept.offset).min(99) as f32),
        signals_before.min(60) as f32,
        signals_after.min(60) as f32,
        ((kept.offset + 1) as f32).ln(),
        ((until + 1) as f32).ln(),
        to_error.map_or(99.0, |line| (line.offset - kept.offset).min(99) as f32),
        repeats.min(20) as f32,
        step.errors.min(20) as f32,
        flag(step.has_exit),
        place.errors_before.min(9) as f32,
        place.errors_after.min(9) as f32,
        place.steps_after.min(30) as f32,
        flag(place.steps_after == 0),
        flag(step.is_clean_up),
        flag(place.job_has_error),
        kept.offset as f32 / step.len.max(1) as f32,
        flag(has_exception_name(text)),
        flag(
            text.starts_with("##[error]")
                && !step.lines[..at].iter().any(|line| line.text.starts_with("##[error]")),
        ),
        previous.map_or(-1.0, |line| flag(is_frame(&line.text))),
        next.map_or(-1.0, |line| flag(is_frame(&line.text))),
        flag(text.trim_end().ends_with(": 0")),
        text.chars().filter(|char| !char.is_alphanumeric() && !char.is_whitespace()).count() as f32
            / characters,
        step.lines[..at].iter().rev().take(40).filter(|line| line.text == text).count() as f32,
    ];
    shapes.copy_from_slice(&values);
    row
}

fn flag(is: bool) -> f32 {
    f32::from(u8::from(is))
}

fn indent(text: &str) -> usize {
    text.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count().min(40)
}

/// Whether the line names a file and a line in it: `a.rs:12`, `a.ts(3,4)`, `line 12`.
fn has_place(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.match_indices([':', '(']).any(|(at, _)| {
        bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
            && at > 1
            && bytes[at - 1].is_ascii_alphabetic()
            && bytes[..at].iter().rev().take(6).any(|byte| *byte == b'.')
    }) || text.contains(", line ")
}

/// Whether the line counts what failed: `3 failed`, `34 examples, 20 failures`, `Found 211 errors`.
fn is_count(text: &str) -> bool {
    const COUNTED: [&str; 10] = [
        "failed",
        "failure",
        "failures",
        "failing",
        "error",
        "errors",
        "problem",
        "problems",
        "vulnerabilities",
        "issues",
    ];
    let mut after_number = false;
    text.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).any(|word| {
        let counts = after_number && COUNTED.iter().any(|counted| counted.eq_ignore_ascii_case(word));
        after_number =
            word.bytes().all(|byte| byte.is_ascii_digit()) && word.bytes().any(|byte| byte != b'0');
        counts
    })
}

/// Whether the line begins with the name of an exception: `ValueError: …`, `java.io.IOException: …`.
fn has_exception_name(text: &str) -> bool {
    let first = text.split_ascii_whitespace().find(|word| *word != "E").unwrap_or_default();
    let name = first.trim_start_matches("##[error]").trim_end_matches(':');
    first.ends_with(':')
        && name.len() > 5
        && ["Error", "Exception", "Failure", "Warning", "Panic"].iter().any(|ending| name.ends_with(ending))
}

/// Whether the line is a frame of a stack trace or a quoted source line.
fn is_frame(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("at ")
        || text.starts_with("File \"")
        || text.starts_with("--> ")
        || text.starts_with("| ")
}
