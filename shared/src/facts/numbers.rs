//! Exit codes, signals, HTTP statuses, and the times of timeouts.

use super::line::{Line, number};

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

impl Numbers {
    pub(super) fn read(&mut self, line: Line<'_>) {
        let text = line.trimmed;
        self.exit(text);
        self.ended_by(text);
        if let Some(status) = status(text) {
            self.http_status = Some(status);
        }
        self.timeout(text);
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

    fn exit(&mut self, text: &str) {
        for (at, label) in EXITS.iter().enumerate() {
            let Some(start) = text.find(label) else { continue };
            let (sign, digits) = match text[start + label.len()..].strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, &text[start + label.len()..]),
            };
            let Some((code, rest)) = number(digits) else { continue };
            // Windows writes codes of more than 31 bits; `0` is a success, and `1.5` is no code.
            let Ok(code) = i32::try_from(code) else { continue };
            let is_code = code != 0 && !rest.starts_with(|next: char| next.is_alphanumeric() || next == '%');
            if is_code {
                let exit = if at == 0 { &mut self.of_step } else { &mut self.of_program };
                *exit = Some(sign * code);
            }
            return;
        }
    }

    fn ended_by(&mut self, text: &str) {
        let told = if text.contains("Segmentation fault") || text.contains("segmentation fault") {
            Some("SIGSEGV")
        } else if text.starts_with("Killed") && text.len() <= 6 || text.contains(" Killed ") {
            Some("SIGKILL")
        } else if text.contains("Aborted (core dumped)") {
            Some("SIGABRT")
        } else if let Some(number_of) =
            ["terminated by signal ", "killed by signal ", "with signal ", "signal: ", "signal "]
                .iter()
                .find_map(|label| text.find(label).map(|at| &text[at + label.len()..]))
                .and_then(number)
        {
            i32::try_from(number_of.0).ok().and_then(name)
        } else {
            SIGNALS.iter().find(|(_, name)| is_told(text, name)).map(|(_, name)| *name)
        };
        self.signal = told.or(self.signal);
    }

    fn timeout(&mut self, text: &str) {
        let lowered = ["timed out", "imed out", "imeout", "xceeded", "within ", "TIMEOUT", "***Timeout"];
        if !lowered.iter().any(|word| text.contains(word)) {
            return;
        }
        if let Some((_, rest)) = text.split_once("TIMEOUT [") {
            // nextest: `TIMEOUT [  60.012s] package test`
            self.took_seconds = duration(rest.trim_start()).or(self.took_seconds);
            return;
        }
        if let Some((_, rest)) = text.split_once("***Timeout") {
            self.took_seconds = duration(rest.trim_start()).or(self.took_seconds);
            return;
        }
        if text.contains("timed out after ") && (text.contains("Operation") || text.contains("onnection")) {
            // curl: `Operation timed out after 30001 milliseconds`
            let took = text.split_once("timed out after ").and_then(|(_, rest)| duration(rest));
            self.took_seconds = took.or(self.took_seconds);
            return;
        }
        let limit = LIMITS.iter().find_map(|label| {
            let rest = &text[text.find(label)? + label.len()..];
            duration(rest.trim_start())
        });
        self.limit_seconds = limit.or(self.limit_seconds);
    }
}

fn name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(other, _)| *other == number).map(|(_, name)| *name)
}

/// Whether a line says that a signal came, and does not only name it.
fn is_told(text: &str, name: &str) -> bool {
    let Some(at) = text.find(name) else { return false };
    let before = text[..at].trim_end_matches([' ', '\'', '"', ':', '(']);
    at == 0
        || ["signal", "with", "by", "due to", "received", "Received", "terminated"]
            .iter()
            .any(|word| before.ends_with(word))
        || text[at + name.len()..].starts_with(" [")
}

/// The status of a request that failed.
fn status(text: &str) -> Option<u16> {
    let found = STATUSES.iter().find_map(|label| {
        let (code, rest) = number(&text[text.find(label)? + label.len()..])?;
        let is_end = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '.');
        u16::try_from(code).ok().filter(|_| is_end)
    });
    let found = found.or_else(|| {
        // `HTTP/1.1 503 Service Unavailable`; in the log of a server, a quote closes the version.
        let (_, rest) = text.split_once("HTTP/")?;
        let (_, code) = rest.split_once(' ')?;
        rest.starts_with(['1', '2', '3'])
            .then(|| number(code))
            .flatten()
            .and_then(|(code, _)| u16::try_from(code).ok())
            .filter(|_| !rest.split(' ').next().is_some_and(|version| version.ends_with('"')))
    });
    let found = found.or_else(|| {
        // Octokit and others: `Error 403: …`, `npm error 409 Conflict`
        let rest = text
            .strip_prefix("Error ")
            .or_else(|| text.strip_prefix("npm error "))
            .or_else(|| text.strip_prefix("npm ERR! "))?;
        let (code, rest) = number(rest)?;
        (rest.starts_with(": ") || text.starts_with("npm "))
            .then_some(code)
            .and_then(|code| u16::try_from(code).ok())
    });
    found.filter(|code| (400..600).contains(code))
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
