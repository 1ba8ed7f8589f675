//! Exit codes, signals, HTTP statuses, and the times of timeouts.

use super::labels::Labels;
use super::line::{Line, number};
use std::sync::LazyLock;

/// The numbers, while lines are read. Of each, the last one counts: what ends a step is at its end.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The exit code that the runner told, which is the step's own.
    of_step: Option<i32>,
    of_program: Option<i32>,
    signal: Option<&'static str>,
    pub(super) http_status: Option<u16>,
    pub(super) limit_seconds: Option<f64>,
    pub(super) took_seconds: Option<f64>,
}

/// What stands before an exit code. The first one is GitHub's runner
/// (<https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/ScriptHandler.cs>).
const EXITS: [&str; 14] = [
    "Process completed with exit code ",
    "exited with exit code ",
    "exited with code ",
    "failed with exit code ",
    "exited with status ",
    "exited with ",
    "returned exit code ",
    "non-zero exit status ",
    "non-zero code: ",
    "exit code: ",
    "exit code ",
    "exit status ",
    "exit status: ",
    "npm error code ",
];

/// The signals that end programs (<https://man7.org/linux/man-pages/man7/signal.7.html>), by number.
const SIGNALS: [(i32, &str); 11] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (15, "SIGTERM"),
];

/// What stands before the HTTP status of a failed request: curl and git, npm, Python's urllib and requests, Go's and
/// Rust's clients, .NET, GitHub's Octokit.
const STATUSES: [&str; 17] = [
    "returned error: ",
    "HTTP Error ",
    "HTTP error ",
    "HTTP code ",
    "HTTP status ",
    "HTTP status code ",
    "HTTP response code: ",
    "HTTP ",
    "status code: ",
    "status code ",
    "statusCode: ",
    "status: ",
    "StatusCode=",
    "unexpected status ",
    "npm error code E",
    "npm ERR! code E",
    "indicate success: ",
];

/// What stands before the limit of a timeout.
const LIMITS: [&str; 20] = [
    // GitHub: a job, a step.
    "maximum execution time of ",
    "has timed out after ",
    // go test, subprocess in Python, Cypress, kubectl, and prose.
    "timed out after ",
    "Timed out after ",
    "timed out retrying after ",
    "Timed out retrying after ",
    "timed out in ",
    // Jest, Mocha, Playwright, pytest-timeout, nick-fields/retry.
    "xceeded timeout of ",
    "imeout of ",
    "Timeout >",
    "imeout after ",
    "Timeout (",
    "deadline of ",
    "time limit of ",
    "timeout: ",
    "timeout is ",
    "HTTP 200 OK within ",
    "within ",
    "waiting for ",
    "Timeout ",
];

/// What says that a program was ended by a signal.
const SIGNS: [&str; 10] = [
    "Segmentation fault",
    "segmentation fault",
    "Aborted (core dumped)",
    "Killed",
    "terminated by signal ",
    "killed by signal ",
    "with signal ",
    "signal: ",
    "signal ",
    "SIG",
];

/// What says how long something took that timed out: nextest, CTest, curl.
const TAKEN: [&str; 4] =
    ["TIMEOUT [", "***Timeout", "peration timed out after ", "onnection timed out after "];

/// The lists, one after another, in one pass.
static LABELS: LazyLock<Labels> = LazyLock::new(|| {
    let lists = EXITS.iter().chain(&SIGNS).chain(&STATUSES).chain(&TAKEN).chain(&LIMITS);
    Labels::new(lists.copied())
});

const SIGNS_AT: usize = EXITS.len();
const STATUSES_AT: usize = SIGNS_AT + SIGNS.len();
const TAKEN_AT: usize = STATUSES_AT + STATUSES.len();
const LIMITS_AT: usize = TAKEN_AT + TAKEN.len();

impl Numbers {
    pub(super) fn read(&mut self, line: Line<'_>) {
        let text = line.trimmed;
        let (mut exit, mut signal, mut status, mut took, mut limit) = (None, None, None, None, None);
        for hit in LABELS.hits(text) {
            let rest = &text[hit.end..];
            if hit.label < SIGNS_AT {
                exit = exit.or_else(|| exit_code(rest).map(|code| (hit.label == 0, code)));
            } else if hit.label < STATUSES_AT {
                signal = signal.or_else(|| ended_by(SIGNS[hit.label - SIGNS_AT], text, hit.start, rest));
            } else if hit.label < TAKEN_AT {
                status = status.or_else(|| code(rest));
            } else if hit.label < LIMITS_AT {
                took = took.or_else(|| duration(rest.trim_start()));
            } else {
                limit = limit.or_else(|| duration(rest.trim_start()));
            }
        }
        match exit {
            Some((true, code)) => self.of_step = Some(code),
            Some((false, code)) => self.of_program = Some(code),
            None => {}
        }
        self.signal = signal.or(self.signal);
        self.http_status = status.or_else(|| status_alone(text)).or(self.http_status);
        self.took_seconds = took.or(self.took_seconds);
        let is_timeout = || TIMEOUTS.iter().any(|word| text.contains(word));
        self.limit_seconds = limit.filter(|_| took.is_none() && is_timeout()).or(self.limit_seconds);
    }

    /// The exit code of the step, or else of a program in it.
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.of_step.or(self.of_program)
    }

    /// The signal, told or from an exit code that shells make of it.
    pub(super) fn signal(&self) -> Option<&'static str> {
        let of_code = |code: Option<i32>| code.filter(|code| *code > 128).and_then(|code| name(code - 128));
        self.signal.or_else(|| of_code(self.of_step)).or_else(|| of_code(self.of_program))
    }
}

/// Words of lines that tell of a timeout.
const TIMEOUTS: [&str; 5] = ["imed out", "imeout", "xceeded", "within ", "deadline"];

/// The exit code at the start of a text. `0` is a success, and `1.5` and `100%` are no codes.
fn exit_code(text: &str) -> Option<i32> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (code, rest) = number(digits)?;
    // Windows writes codes of more than 31 bits.
    let code = i32::try_from(code).ok().filter(|code| *code != 0)?;
    let is_end = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '%');
    is_end.then_some(sign * code)
}

/// The signal that a sign tells.
fn ended_by(sign: &str, text: &str, start: usize, rest: &str) -> Option<&'static str> {
    match sign {
        "Segmentation fault" | "segmentation fault" => Some("SIGSEGV"),
        "Aborted (core dumped)" => Some("SIGABRT"),
        // Bash writes the command behind it, or nothing.
        "Killed" => {
            (text == "Killed" || text[..start].ends_with(' ') && rest.starts_with("  ")).then_some("SIGKILL")
        }
        "SIG" => SIGNALS.iter().find(|(_, name)| rest.starts_with(&name[3..])).and_then(|(_, name)| {
            let before = text[..start].trim_end_matches([' ', '\'', '"', ':', '(']);
            let is_told = start == 0
                || ["signal", "with", "by", "due to", "received", "Received", "terminated"]
                    .iter()
                    .any(|word| before.ends_with(word))
                || rest[name.len() - 3..].starts_with(" [");
            is_told.then_some(*name)
        }),
        _ => i32::try_from(number(rest)?.0).ok().and_then(name),
    }
}

fn name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(other, _)| *other == number).map(|(_, name)| *name)
}

/// The status at the start of a text, if it tells of a failure.
fn code(text: &str) -> Option<u16> {
    let (code, rest) = number(text)?;
    let is_end = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '.');
    u16::try_from(code).ok().filter(|code| is_end && (400..600).contains(code))
}

/// A status that no text of a list stands before.
fn status_alone(text: &str) -> Option<u16> {
    if let Some(rest) =
        ["Error ", "npm error ", "npm ERR! "].iter().find_map(|start| text.strip_prefix(start))
    {
        // Octokit and others: `Error 403: …`, `npm error 409 Conflict`
        let is_status = text.starts_with("npm ") || rest.get(3..5) == Some(": ");
        return if is_status { code(rest) } else { None };
    }
    // `HTTP/1.1 503 Service Unavailable`; in the log of a server, a quote closes the version.
    let (_, rest) = text.split_once("HTTP/")?;
    let (version, rest) = rest.split_once(' ')?;
    if version.starts_with(['1', '2', '3']) && !version.ends_with('"') { code(rest) } else { None }
}

/// A duration in seconds: `5 minutes`, `30000ms`, `10m0s`, `1h30m`, `30.5 s`, `60.0`.
fn duration(text: &str) -> Option<f64> {
    let (mut rest, mut total, mut any) = (text, 0.0, false);
    // Hours, minutes, seconds and their parts.
    for _ in 0..4 {
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(rest.len());
        let Ok(amount) = rest[..end].trim_end_matches('.').parse::<f64>() else { break };
        let after = &rest[end..];
        let unit = after.strip_prefix(' ').unwrap_or(after).trim_start_matches('-');
        let letters = unit.bytes().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(unit.len());
        let seconds = match &unit[..letters] {
            "ms" | "msec" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            _ => break,
        };
        (total, any) = (total + amount * seconds, true);
        let next = &unit[letters..];
        rest = if next.starts_with(|c: char| c.is_ascii_digit()) { next } else { "" };
    }
    // No timeout is longer than a month.
    (any && total > 0.0 && total < 2_678_400.0).then_some((total * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_units() {
        for (text, seconds) in [
            ("5 minutes.", 300.0),
            ("3600000ms hit", 3600.0),
            ("10m0s", 600.0),
            ("1h30m", 5400.0),
            ("30.5 s", 30.5),
            ("30001 milliseconds", 30.001),
        ] {
            assert_eq!(duration(text), Some(seconds), "{text}");
        }
        for text in ["", "soon", "5", "5 apples", "99999999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
