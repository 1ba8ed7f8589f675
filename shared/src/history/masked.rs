//! The text of a line without what differs from run to run.
//!
//! [`crate::excerpt::mask_line`] is made for a model with few words: it cuts endings, and every path is one word. Here two
//! lines must stay apart if they name different files, symbols or packages. What may change is left out, not replaced, so
//! that a number that one run does not print makes no difference: terminal codes, markers of the log, numbers, versions,
//! times, sizes, hashes, UUIDs, addresses, the folders of a path, and names in folders for temporary files. What stays is
//! lower-case words with a space between them.

use crate::excerpt::LINE_CHARS;

/// Words after which a number says what happened.
const CODE_WORDS: [&str; 7] = ["exit", "code", "status", "errno", "signal", "http", "exited"];
/// Words that only measure the number before them.
const UNITS: [&str; 30] = [
    "ms", "s", "sec", "secs", "second", "m", "min", "mins", "minute", "h", "hr", "hour", "d", "day", "b",
    "k", "kb", "mb", "gb", "kib", "mib", "gib", "byte", "am", "pm", "utc", "gmt", "us", "ns", "ago",
];
/// Words of dates, beside a number.
const DATES: [&str; 19] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon", "tue", "wed",
    "thu", "fri", "sat", "sun",
];
/// Folders in which programs make names of their own.
const TEMPORARY: [&str; 5] = ["tmp", "temp", "_temp", "T", "Temp"];
/// Characters that part what is written together.
const PARTS: [char; 17] =
    ['"', '\'', '`', '(', ')', '[', ']', '<', '>', '{', '}', ',', ';', '|', '=', '*', '\u{2019}'];
/// The shortest word of hexadecimal digits that is a hash: Git shortens to seven.
const HASH_MIN: usize = 7;
/// The length from which a word with digits inside is an id. `base64encoded` is shorter.
const ID_MIN: usize = 14;
/// The length from which a word of mixed letters and digits is random.
const RANDOM_MIN: usize = 20;
/// The length of a UUID. Source: RFC 9562.
const UUID_LEN: usize = 36;

/// The words of `line` that say what happened.
pub(super) fn masked(line: &str) -> String {
    let line: String = without_escapes(line).chars().take(LINE_CHARS).collect();
    let mut words = Words::default();
    let mut tokens = without_markers(&line).split_whitespace().peekable();
    while let Some(token) = tokens.next() {
        let is_date = tokens.peek().is_some_and(|next| is_klog_date(token, next));
        if !is_date {
            words.push_token(token);
        }
    }
    words.text
}

/// `name` of a test without addresses, UUIDs, positions and the folders of an absolute path. Its other numbers stay: they tell
/// tests apart.
pub(super) fn masked_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for token in without_positions(name).split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        let token = without_uuids(token);
        let is_absolute =
            token.starts_with('/') || token.get(1..3).is_some_and(|drive| drive == ":\\" || drive == ":/");
        let token = if is_absolute { token.rsplit(['/', '\\']).next().unwrap_or_default() } else { &token };
        let mut rest = token;
        while let Some(at) = rest.find("0x") {
            let digits = rest[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
            text.push_str(&rest[..at]);
            rest = &rest[at + 2 + digits..];
        }
        text.push_str(rest);
    }
    text
}

/// Whether a line says no more than that a command failed or was stopped, with at most the name of the tool that says so.
pub(super) fn says_only_that_it_failed(line: &str) -> bool {
    const SAYS_NOTHING: [&str; 4] = [
        "process completed with exit code 1",
        "process completed with exit code 2",
        "the operation was canceled",
        "command failed with exit code 1",
    ];
    let line = masked(line);
    let says_it = |words: &str| line.strip_suffix(words).is_some_and(|tool| !tool.trim_end().contains(' '));
    line.is_empty() || SAYS_NOTHING.iter().any(|words| says_it(words))
}

/// Whether a line says no more than how much failed, as in `12 failed, 3 passed in 4.1s`.
pub(super) fn only_counts(line: &str) -> bool {
    const COUNTED: [&str; 22] = [
        "and",
        "deselected",
        "done",
        "error",
        "failed",
        "failure",
        "fixed",
        "flaky",
        "found",
        "in",
        "of",
        "passed",
        "problem",
        "remaining",
        "rerun",
        "skipped",
        "snapshot",
        "suite",
        "test",
        "total",
        "warning",
        "with",
    ];
    masked(line).split(' ').all(|word| COUNTED.contains(&word))
}

/// The masked words so far.
#[derive(Default)]
struct Words {
    text: String,
    /// Whether a number was left out just before.
    after_number: bool,
}

// === impl Words ===

impl Words {
    fn push_token(&mut self, token: &str) {
        if is_digest(token) {
            return;
        }
        for part in token.split(PARTS) {
            match part.split_once("://") {
                Some(("file", path)) => self.push_path(path),
                Some((_, address)) => {
                    let address = address.split(['?', '#']).next().unwrap_or_default();
                    self.push_words(address);
                }
                None => self.push_path(part),
            }
        }
    }

    /// Pushes a path without its folders; what is no path is pushed whole.
    fn push_path(&mut self, part: &str) {
        let drive = part.as_bytes().get(1) == Some(&b':')
            && part.as_bytes().get(2).is_some_and(|byte| matches!(byte, b'\\' | b'/'));
        let part = if drive { &part[2..] } else { part };
        if !part.contains(['/', '\\']) {
            return self.push_words(part);
        }
        // `src/a.rs:12:3` is a path and what follows it.
        let (path, rest) = part.split_at(part.find(':').unwrap_or(part.len()));
        let mut folders: Vec<&str> = path.split(['/', '\\']).filter(|folder| !folder.is_empty()).collect();
        let name = folders.pop().unwrap_or_default();
        let is_temporary = folders.last().is_some_and(|folder| TEMPORARY.contains(folder));
        let is_rooted = path.starts_with(['/', '\\', '.', '~', '$']) || drive;
        match (is_temporary, is_rooted || (name.contains('.') && !path.contains('@'))) {
            (true, _) => {}
            (false, true) => self.push_words(name),
            (false, false) => self.push_words(path),
        }
        self.push_words(rest);
    }

    fn push_words(&mut self, part: &str) {
        for word in without_uuids(part).split(|char: char| !char.is_alphanumeric()) {
            if !word.is_empty() {
                self.push_word(word);
            }
        }
    }

    fn push_word(&mut self, word: &str) {
        let lower = word.to_lowercase();
        // `v4` is a version.
        let number = lower.strip_prefix('v').unwrap_or(&lower);
        if number.starts_with(|char: char| char.is_ascii_digit()) {
            let is_code =
                lower.len() <= 4 && lower.bytes().all(|byte| byte.is_ascii_digit()) && self.expects_code();
            if is_code {
                self.append(&lower);
            } else {
                self.leave_out_dates();
            }
            self.after_number = !is_code;
            return;
        }
        let singular = match lower.strip_suffix('s') {
            Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem,
            _ => &lower,
        };
        let measures = self.after_number && (UNITS.contains(&singular) || is_of_date(&lower));
        if !measures && !is_random(word) {
            self.append(singular);
            self.after_number = false;
        }
    }

    fn append(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    fn expects_code(&self) -> bool {
        let last = self.text.rsplit(' ').next().unwrap_or_default();
        CODE_WORDS.contains(&last)
    }

    /// Leaves out the month and the day before a number.
    fn leave_out_dates(&mut self) {
        while let Some(last) = self.text.rsplit(' ').next().filter(|last| is_of_date(last)) {
            let end = self.text.len() - last.len();
            self.text.truncate(end.saturating_sub(1));
        }
    }
}

/// Whether the word is the first letters of a month or a day, or its whole name.
fn is_of_date(word: &str) -> bool {
    let is_long = matches!(
        word,
        "january"
            | "february"
            | "march"
            | "april"
            | "june"
            | "july"
            | "august"
            | "september"
            | "october"
            | "november"
            | "december"
    );
    is_long || DATES.contains(&word)
}

/// Whether a word is made by a machine: a hash, or letters and digits without order.
fn is_random(word: &str) -> bool {
    let bytes = word.as_bytes();
    if bytes.len() >= HASH_MIN && bytes.iter().all(u8::is_ascii_hexdigit) {
        return true;
    }
    let turns = bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    (turns >= 3 && bytes.len() >= HASH_MIN)
        || (turns >= 2 && bytes.len() >= ID_MIN)
        || (is_mixed && bytes.len() >= RANDOM_MIN)
}

/// Whether a token is a digest with the name of its function, as in `sha512-…` and `sha256:…`.
fn is_digest(token: &str) -> bool {
    let token = token.trim_matches(PARTS);
    let rest = token.strip_prefix("sha").and_then(|rest| rest.split_once(['-', ':']));
    rest.is_some_and(|(bits, digest)| {
        bits.bytes().all(|byte| byte.is_ascii_digit()) && digest.len() >= RANDOM_MIN
    })
}

/// Whether a token is the level and the date before a time, as in `W0604 02:03:09.791644`. Source: klog, the log of
/// Kubernetes. `E0308` before anything else is an error's number.
fn is_klog_date(token: &str, next: &str) -> bool {
    let date = token.strip_prefix(['I', 'W', 'E', 'F']);
    let is_date = date.is_some_and(|date| date.len() == 4 && date.bytes().all(|byte| byte.is_ascii_digit()));
    is_date && next.matches(':').count() == 2 && next.starts_with(|char: char| char.is_ascii_digit())
}

/// `name` without the line and the column of `a.spec.ts:8:7`.
fn without_positions(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(':') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let digits = after[1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = after[1 + digits..].chars().next();
        let is_position = digits > 0 && end.is_none_or(|char| char == ':' || char.is_whitespace());
        let taken = if is_position { 1 + digits } else { 1 };
        text.push_str(if is_position { "" } else { ":" });
        rest = &after[taken..];
    }
    text + rest
}

/// `text` without UUIDs.
fn without_uuids(text: &str) -> String {
    let bytes = text.as_bytes();
    let is_uuid = |at: usize| {
        let Some(window) = bytes.get(at..at + UUID_LEN) else { return false };
        window.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let Some(at) = (0..bytes.len()).find(|at| is_uuid(*at)) else { return text.to_owned() };
    format!("{} {}", &text[..at], without_uuids(&text[at + UUID_LEN..]))
}

/// `line` without the codes of ECMA-48.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        // Some tools write the escape character as `^[`.
        let is_written = char == '^' && chars.as_str().starts_with("[[");
        if is_written {
            chars.next();
        }
        if char != '\u{1b}' && !is_written {
            text.push(char);
        } else if chars.next() == Some('[') {
            chars.find(|char| ('\u{40}'..='\u{7e}').contains(char));
        }
    }
    text
}

/// `line` without GitHub's marker, and without the words by which a program only says that an error follows.
fn without_markers(line: &str) -> &str {
    let mut line = line.trim_start();
    loop {
        let marker = line.strip_prefix("##[").and_then(|rest| rest.split_once(']')).map(|(_, rest)| rest);
        let word = ["Error: ", "error: ", "ERROR: ", "Error! ", "Error ", "ERROR ", "E  "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        match marker.or(word) {
            Some(rest) => line = rest.trim_start(),
            None => return line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_and_what_differs_from_run_to_run_goes() {
        assert_eq!(
            masked("##[error]src/load.ts(42,7): error TS2304: Cannot find name 'loadAll'."),
            "load ts error ts2304 cannot find name loadall"
        );
        assert_eq!(
            masked("/home/runner/work/shop/shop/src/load.ts:42:7 - error TS2304: x"),
            masked("D:\\a\\shop\\shop\\src\\load.ts:9:1 - error TS2304: x")
        );
        assert_eq!(
            masked("npm ERR! 404 Not Found - GET https://registry.npmjs.org/left-pad?x=1"),
            "npm err not found get registry npmj org left pad"
        );
        assert_eq!(masked("Process completed with exit code 137."), "process completed with exit code 137");
        assert_eq!(masked("could not read /tmp/tmpq3x_8f/"), "could not read");
        assert_eq!(masked("uses: actions/checkout@v4.1.2 not found"), "use action checkout not found");
    }

    #[test]
    fn a_name_of_a_test_keeps_its_numbers_and_loses_addresses() {
        assert_eq!(masked_name("tests/test_a.py::test_sum[3-4]"), "tests/test_a.py::test_sum[3-4]");
        assert_eq!(masked_name("/home/runner/work/a/a/src/a.test.ts > adds 2"), "a.test.ts > adds 2");
        assert_eq!(masked_name("test_x[<f at 0x7f31ac>]"), "test_x[<f at >]");
        assert_eq!(masked_name("[web] › e2e/a.spec.ts:8:7 › logs in"), "[web] › e2e/a.spec.ts › logs in");
        assert_eq!(masked_name("tests/a.py::T::test[a:b]"), "tests/a.py::T::test[a:b]");
    }

    #[test]
    fn dates_before_a_time_go_and_numbers_of_errors_stay() {
        let klog = "W0604 02:03:09.791644    5866 methodcall.go:40] sending error response";
        assert_eq!(masked(klog), "methodcall go sending error response");
        assert_eq!(masked("E0308 mismatched types"), "e0308 mismatched type");
        assert_eq!(masked("Sat Nov 29 03:17:50 UTC 2026 it broke"), "it broke");
    }

    #[test]
    fn a_line_that_names_only_the_tool_that_failed_says_nothing() {
        for line in [
            "",
            "##[error]Process completed with exit code 2.",
            "ELIFECYCLE  Command failed with exit code 1.",
        ] {
            assert!(says_only_that_it_failed(line), "{line}");
        }
        for line in
            ["Process completed with exit code 137.", "npm run build: command failed with exit code 1"]
        {
            assert!(!says_only_that_it_failed(line), "{line}");
        }
    }

    #[test]
    fn one_error_and_two_errors_read_the_same() {
        let counted = |text: &str| masked(&format!("error: could not compile `shop` due to {text}"));
        assert_eq!(counted("1 previous error"), counted("12 previous errors"));
        assert!(only_counts("===== 12 failed, 3 passed in 4.1s =====") && only_counts("Found 1 error."));
        assert!(!only_counts("30 vulnerabilities (1 moderate, 29 high)") && !only_counts(""));
    }

    proptest! {
        #[test]
        fn any_line_is_masked_without_a_panic(line: String) {
            masked(&line);
            masked_name(&line);
        }
    }
}
