//! Errors with a place: what compilers, linters and assertions write as `path:line:column: message` and in other ways.
//!
//! The ways differ in how the position is written and in what says that it is an error:
//!
//! | form | written by |
//! |---|---|
//! | `path:12:3: error: message` | gcc, clang, swiftc, ghc, actionlint, and alike (<https://www.gnu.org/prep/standards/html_node/Errors.html>) |
//! | `path:12: error: message` | javac, mypy (<https://mypy.readthedocs.io/en/stable/common_issues.html>) |
//! | `path(12,3): error CS1002: message` | msvc, csc, tsc (<https://learn.microsoft.com/visualstudio/msbuild/msbuild-diagnostic-format-for-tasks>) |
//! | `path:12:3 - error TS2322: message` | tsc with `--pretty`, pyright |
//! | `error[E0382]: message`, ` --> path:12:3` | rustc (<https://doc.rust-lang.org/rustc/>), ruff, solc |
//! | `path`, then `  12:3  error  message  rule` | ESLint's stylish formatter (<https://eslint.org/docs/latest/use/formatters/>), stylelint, Next.js |
//! | `path:12:3: F401 message` | ruff, flake8, pylint, golangci-lint, rubocop, ktlint |
//! | `./path:12:3: message` | go build and vet |
//! | `e: file:///path:12:3 message` | kotlinc |
//! | `[ERROR] path:[12,3] message` | maven-compiler-plugin |
//! | `error - path:12:3 - message - rule`, `error • message • path:12:3 • rule` | dart and flutter analyze (<https://dart.dev/tools/dart-analyze>) |
//! | `PHP Fatal error:  message in path on line 12` | php |
//! | `path.rb:12: syntax error` | ruby |
//! | `thread 'main' panicked at path:12:3:` | Rust's panics |
//! | `path:12: Failure`, `path:12: FAILED:` | Google Test, Catch2 |

use super::found::{Place, PlaceKind, Places, kept};
use super::line::{Line, number, start_of};
use super::paths;

/// What may stand before the path.
const LEADS: [&str; 36] = [
    "Error Trace:",
    "/usr/bin/ld: ",
    "ld: ",
    "--> ",
    "╭─[",
    "┌─ ",
    "└─ ",
    "│ ",
    "│",
    "× ",
    "✘ ",
    "❌ ",
    "● ",
    "› ",
    "e: ",
    "w: ",
    "[ERROR] ",
    "[error] ",
    "[javac] ",
    "ERROR in ",
    "ERROR: ",
    "ERROR:",
    "ERROR ",
    "Error: ",
    "error: ",
    "Location: ",
    "FILE: ",
    "File: ",
    "file: ",
    "** (CompileError) ",
    "** (SyntaxError) ",
    "** (TokenMissingError) ",
    "Fatal error: ",
    "-- ",
    "on ",
    "\"",
];

/// How the message of an error begins.
const ERRORS: [&str; 15] = [
    "error:",
    "error[",
    "error ",
    "fatal error",
    "fatal:",
    "Error:",
    "ERROR:",
    "ERROR ",
    "FAILED",
    "Failure",
    "undefined reference",
    "multiple definition",
    "syntax error",
    "internal compiler error",
    "AAPT: error:",
];

/// How a line begins that tells an error whose place is on the next line.
const TELLING: [&str; 7] = ["error:", "error[", "Error:", "Error (", "× ", ">> Issue: ", "fatal error:"];

/// How a message begins that is no error, or only a part of one that was told.
const OTHERS: [&str; 16] = [
    "warning",
    "note",
    "info",
    "help",
    "hint",
    "remark",
    "required",
    "in ",
    "from",
    "Warning",
    "required from",
    "W:",
    "ok",
    "in instantiation",
    "candidate",
    "WARNING",
];

/// A position and what follows it.
#[derive(Debug)]
pub(super) struct Spot<'a> {
    pub(super) path: &'a str,
    pub(super) line: u32,
    pub(super) column: Option<u32>,
    pub(super) rest: &'a str,
}

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Compilers {
    /// The message of an error whose place follows, or that what follows is none.
    pending: Pending,
    /// The file that rows of positions belong to.
    header: Option<String>,
    /// The next line is the message of the last place.
    is_message_next: bool,
    /// The exception or assertion that was told last, for the place that follows it.
    pub(super) exception: Option<String>,
    go: GoLogs,
    /// The next line says what happened.
    is_exception_next: bool,
    /// Inside of what a test printed, as Jest tells it: its frames are of no failure.
    is_printed: bool,
    /// The last frame of Python, whose exception stands behind its frames.
    pub(super) innermost: Option<Place>,
    /// The last line was one that pytest marks.
    is_marked: bool,
}

/// What a Go test logs (<https://pkg.go.dev/testing#T.Error>): `    app_test.go:12: message`. With `-v` the lines stand
/// before the result of their test, without it behind.
#[derive(Debug, Default)]
struct GoLogs {
    is_failed: bool,
    /// The test that runs.
    test: String,
    /// The last lines of tests whose result is not known.
    waiting: Vec<(String, Place)>,
}

/// The largest number of lines of Go tests that wait for a result.
const GO_LINES_MAX: usize = 20;

#[derive(Debug, Default)]
enum Pending {
    #[default]
    None,
    Error(String),
    Warning,
}

impl Compilers {
    /// Whether the next line is wanted whatever its marks.
    pub(super) fn is_open(&self) -> bool {
        self.is_message_next || self.is_exception_next
    }

    /// Whether the frames that follow are of a failure.
    pub(super) fn heeds_frames(&self) -> bool {
        !self.is_printed
    }

    /// Jest's headings (<https://jestjs.io/docs/cli>): `● suite › name`, after which the first line says what happened, and
    /// `● Console`, after which it tells what the tests printed.
    fn heading(&mut self, text: &str) -> bool {
        if let Some(name) = text.strip_prefix("● ") {
            self.is_printed = name == "Console";
            self.is_exception_next = !self.is_printed;
        } else if ["PASS ", "FAIL "].iter().any(|result| text.starts_with(result)) {
            self.is_printed = false;
        } else if matches!(
            text,
            "console.error" | "console.warn" | "console.log" | "console.info" | "console.debug"
        ) {
            self.is_printed = true;
        } else {
            return false;
        }
        true
    }

    /// Notes the file of the rows that follow, if the line is nothing but a path.
    pub(super) fn heed_header(&mut self, line: Line<'_>) {
        let text = line.text;
        let is_path =
            !text.starts_with([' ', '\t', '-', '#', '(']) && (!text.contains(' ') || text.starts_with('/'));
        if is_path && paths::is_source(text) {
            self.header = paths::of_error(text);
        }
    }

    /// Reads a line. Without a position it may still say something about a place.
    pub(super) fn read(&mut self, line: Line<'_>, has_position: bool, places: &mut Places) {
        let text = line.trimmed;
        self.is_marked &= text.starts_with("E ");
        if std::mem::take(&mut self.is_message_next) && !text.starts_with(['/', '|', '>']) {
            places.explain_last(text);
        }
        let is_read = self.row(line, places)
            || php(text, places)
            || dart(text, places)
            || rust_panic(text, places, &mut self.is_message_next);
        if is_read {
            return;
        }
        if text.starts_with("--- ") || text.starts_with("=== ") || text.starts_with("ok ") {
            self.go.result(text, places);
            return;
        }
        if self.heading(text) {
            return;
        }
        if std::mem::take(&mut self.is_exception_next) {
            self.exception = Some(kept(text));
        }
        if !has_position && !Self::has_path(text) {
            self.remember(line, places);
            return;
        }
        if let Some(place) = text.strip_suffix("]:").and_then(|text| text.rsplit_once(" [")) {
            // minitest: `AppTest#test_name [test/app_test.rb:12]:`
            if let Some((spot, path)) =
                Spot::leading(place.1).and_then(|spot| paths::of_error(spot.path).map(|path| (spot, path)))
            {
                places.add(Place {
                    path,
                    line: spot.line,
                    column: None,
                    message: None,
                    kind: PlaceKind::Error,
                });
                self.is_message_next = true;
            }
            return;
        }
        self.remember(line, places);
        let (lead, text) = without_leads(text);
        if let Some(rest) = text.strip_prefix("Line ").filter(|_| !text.starts_with("Line |")) {
            // PHPStan's table: `  Line   src/a.php`
            if paths::is_source(rest.trim()) {
                self.header = paths::of_error(rest.trim());
            }
            return;
        }
        if lead == Some("FILE: ") {
            self.header = paths::of_error(text);
            return;
        }
        if let Some(spot) = Spot::leading(text) {
            self.place(line, lead, &spot, places);
        }
    }

    /// Whether a line names a file for the rows that follow.
    fn has_path(text: &str) -> bool {
        text.starts_with("Line ") || text.starts_with("FILE: ")
    }

    /// A place and what is said about it.
    fn place(&mut self, line: Line<'_>, lead: Option<&str>, spot: &Spot<'_>, places: &mut Places) {
        if line.indent() >= 4 && spot.path.ends_with("_test.go") && spot.column.is_none() && lead.is_none() {
            self.go.log(spot, places);
            return;
        }
        let message = match lead {
            Some("w: ") => return,
            Some("Error Trace:") => Some(String::new()),
            Some("--> " | "╭─[" | "┌─ " | "└─ " | "Location: " | "on ") => {
                match std::mem::take(&mut self.pending) {
                    Pending::Error(message) => Some(message),
                    Pending::Warning => return,
                    // A second place of the same error, or a code that was not read.
                    Pending::None if lead == Some("on ") => return,
                    Pending::None => None,
                }
            }
            _ => match self.complaint(line, lead, spot) {
                Some(message) => Some(message),
                None => return,
            },
        };
        if let Some(path) = paths::of_error(spot.path) {
            let message = message.filter(|message| !message.is_empty());
            self.is_message_next =
                message.as_deref().is_none_or(|message| message == "Failure" || message == "FAILED:")
                    && !matches!(lead, Some("--> " | "└─ "));
            let message = message.filter(|_| !self.is_message_next);
            places.add(Place { path, line: spot.line, column: spot.column, message, kind: PlaceKind::Error });
        }
    }

    /// What is said about a place at the start of a line, if it is an error.
    fn complaint(&mut self, line: Line<'_>, lead: Option<&str>, spot: &Spot<'_>) -> Option<String> {
        let rest = spot.rest.trim_start();
        if start_of(rest, &OTHERS).is_some() {
            return None;
        }
        if start_of(rest, &ERRORS).is_some() {
            return Some(kept(rest));
        }
        let word = rest.split([' ', ':', '(', '[']).next().unwrap_or(rest);
        let is_exception =
            ["Error", "Exception", "Failed", "Failure", "Warning"].iter().any(|end| word.ends_with(end));
        if is_exception && word.len() > 5 {
            // pytest: `path:12: AssertionError` after `E   assert …`. A warning is none.
            let told = self.exception.take();
            return (!word.ends_with("Warning")).then(|| told.unwrap_or_else(|| kept(rest)));
        }
        if rest.is_empty() {
            // Next.js and Dart: `./src/a.tsx:12:3` and `lib/a.dart:12:3:`, and the message on the next line.
            let is_known = spot.path.starts_with("./") || spot.path.ends_with(".dart");
            let is_bare = spot.column.is_some() && line.indent() == 0 && lead.is_none();
            return (is_known && is_bare).then(String::new);
        }
        let is_code = word.len() <= 10
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.ends_with(|last: char| last.is_ascii_digit());
        let is_told = is_code
            || spot.column.is_some()
            || lead.is_some_and(|lead| matches!(lead, "[ERROR] " | "e: " | "ERROR: "));
        let is_at_start = line.indent() == 0 || lead.is_some() || is_code;
        (is_told && is_at_start && !rest.starts_with(['|', '›', '✓', '<', '>', '=', '@'])).then(|| kept(rest))
    }

    /// A row under the path of its file: `  12:3  error  message  rule`, PHP_CodeSniffer's ` 12 | ERROR | message` and
    /// PHPStan's `  12     message`.
    fn row(&self, line: Line<'_>, places: &mut Places) -> bool {
        let Some((row, rest)) = number(line.trimmed) else { return false };
        let (column, rest) = match rest.strip_prefix(':').and_then(number) {
            Some((column, rest)) => (Some(column), rest),
            None => (None, rest),
        };
        if !rest.starts_with([' ', '\t']) {
            return false;
        }
        let rest = rest.trim_start();
        let message = match column {
            Some(_) => ["error ", "Error: ", "✖ ", "error\t", "ERROR "]
                .iter()
                .find_map(|sign| rest.strip_prefix(sign)),
            None => rest.strip_prefix("| ERROR ").map(|rest| rest.trim_start_matches("| ")),
        };
        let (Some(path), Some(message)) = (&self.header, message) else { return false };
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        places.add(Place {
            path: path.clone(),
            line: row,
            column,
            message: Some(kept(&message)),
            kind: PlaceKind::Error,
        });
        true
    }

    /// Tells what Python's last frame threw. Returns whether there was a frame.
    fn throw(&mut self, exception: &str, places: &mut Places) -> bool {
        let frame = self.innermost.take();
        let is_thrown = frame.is_some();
        if let Some(frame) = frame {
            places.add(Place { message: Some(kept(exception)), ..frame });
        }
        is_thrown
    }

    /// Keeps a message whose place follows.
    fn remember(&mut self, line: Line<'_>, places: &mut Places) {
        let text = line.trimmed;
        let text = text.trim_start_matches(['│', '╷', ' ']);
        let code = text.split(' ').next().unwrap_or(text);
        let is_code = (3..9).contains(&code.len())
            && code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.ends_with(|last: char| last.is_ascii_digit())
            && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let is_error = start_of(text, &TELLING).is_some();
        if is_code || is_error {
            self.pending = Pending::Error(kept(text.trim_start_matches(">> Issue: ")));
        } else if start_of(text, &["warning", "note", "help", "Note", "Warning"]).is_some() {
            self.pending = Pending::Warning;
        }
        if let Some(told) = text.strip_prefix("E  ") {
            // pytest marks the lines of an exception. The first one says what it is.
            if !std::mem::replace(&mut self.is_marked, true) {
                self.exception = Some(kept(told));
                self.throw(told, places);
            }
        } else if is_exception(text) && (line.indent() > 0 || !self.throw(text, places)) {
            self.exception = Some(kept(text));
        }
    }
}

// === impl GoLogs ===

impl GoLogs {
    fn log(&mut self, spot: &Spot<'_>, places: &mut Places) {
        let Some(path) = paths::of_error(spot.path) else { return };
        let message = Some(kept(spot.rest)).filter(|message| !message.is_empty());
        let place = Place { path, line: spot.line, column: None, message, kind: PlaceKind::Error };
        if self.is_failed {
            places.add(place);
        } else {
            if self.waiting.len() == GO_LINES_MAX {
                self.waiting.remove(0);
            }
            self.waiting.push((self.test.clone(), place));
        }
    }

    /// `=== RUN   TestName`, `--- FAIL: TestName (0.00s)`
    fn result(&mut self, text: &str, places: &mut Places) {
        let name = text[3..].split_whitespace().nth(1).unwrap_or_default();
        self.is_failed = text.starts_with("--- FAIL");
        if text.starts_with("=== ") {
            self.test = kept(name);
        }
        if text.starts_with("--- ") {
            let (of_test, others) =
                std::mem::take(&mut self.waiting).into_iter().partition(|(test, _)| test == name);
            self.waiting = others;
            let of_test: Vec<(String, Place)> = of_test;
            if self.is_failed {
                for (_, place) in of_test {
                    places.add(place);
                }
            }
        }
    }
}

/// Whether a line tells an exception: `TypeError: …`, `java.lang.IllegalStateException: …`, `panic: …`.
pub(super) fn is_exception(text: &str) -> bool {
    let Some((word, _)) = text.split_once(": ") else {
        return text.ends_with("Error") && !text.contains([' ', '/', '(']);
    };
    // Node.js writes its code: `AssertionError [ERR_ASSERTION]: …`
    let word = word.split(" [").next().unwrap_or(word);
    let name = word.rsplit(['.', ':', '\\']).next().unwrap_or(word);
    let name = name.strip_prefix("Uncaught ").unwrap_or(name);
    !name.contains(' ')
        && (name.ends_with("Error") || name.ends_with("Exception") || matches!(name, "panic" | "error"))
}

/// `error - path:12:3 - message - rule` and `error • message • path:12:3 • rule`. Melos puts the name of the package before
/// it: `[package]: `.
fn dart(text: &str, places: &mut Places) -> bool {
    let text = match text.strip_prefix('[').and_then(|text| text.split_once("]: ")) {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    };
    let told = if let Some(rest) = text.strip_prefix("error - ") {
        rest.split_once(" - ")
    } else if let Some(rest) = text.strip_prefix("error • ") {
        let mut parts = rest.split(" • ");
        parts.next().and_then(|message| parts.next().map(|place| (place, message)))
    } else {
        None
    };
    let Some((place, message)) = told else { return false };
    let Some(spot) = Spot::leading(place) else { return false };
    let Some(path) = paths::of_error(spot.path) else { return false };
    let message = Some(kept(message));
    places.add(Place { path, line: spot.line, column: spot.column, message, kind: PlaceKind::Error });
    true
}

/// PHP (<https://www.php.net/manual/en/function.set-error-handler.php>): `PHP Fatal error:  message in path on line 12`,
/// `PHP Parse error:  …`, `Uncaught Error: … in path:12`.
fn php(text: &str, places: &mut Places) -> bool {
    let Some((kind, message)) = text.split_once(" error: ") else { return false };
    if !matches!(kind, "PHP Fatal" | "PHP Parse" | "Fatal" | "Parse") {
        return false;
    }
    let Some((message, place)) = message.rsplit_once(" in ") else { return false };
    let spot = match place.split_once(" on line ") {
        Some((path, row)) => number(row).map(|(line, _)| Spot { path, line, column: None, rest: "" }),
        None => Spot::leading(place),
    };
    let Some((spot, path)) = spot.and_then(|spot| paths::of_error(spot.path).map(|path| (spot, path))) else {
        return false;
    };
    places.add(Place {
        path,
        line: spot.line,
        column: None,
        message: Some(kept(message)),
        kind: PlaceKind::Error,
    });
    true
}

/// Rust's panics (<https://doc.rust-lang.org/std/macro.panic.html>): `thread 'x' panicked at path:12:3:` and the message on
/// the next line; before 1.73 `panicked at 'message', path:12:3`.
fn rust_panic(text: &str, places: &mut Places, is_message_next: &mut bool) -> bool {
    let Some((_, place)) = text.split_once(" panicked at ") else { return false };
    let (message, place) = match place.rsplit_once("', ") {
        Some((message, place)) => (Some(kept(message.trim_start_matches('\''))), place),
        None => (None, place),
    };
    if let Some(spot) = Spot::leading(place)
        && let Some(path) = paths::of_frame(spot.path)
    {
        *is_message_next = message.is_none();
        places.add(Place { path, line: spot.line, column: spot.column, message, kind: PlaceKind::Error });
    }
    true
}

fn without_leads(text: &str) -> (Option<&'static str>, &str) {
    let (mut last, mut text) = (None, text);
    // More than three are none of a tool.
    for _ in 0..3 {
        let Some(lead) = start_of(text, &LEADS) else { break };
        (last, text) = (Some(lead), text[lead.len()..].trim_start());
    }
    (last, text)
}

// === impl Spot ===

impl<'a> Spot<'a> {
    /// The position at the start of a text: `path:12:3`, `path:12`, `path(12,3)`, `path:[12,3]`, `path: (12, 3)`,
    /// `path line 12`.
    pub(super) fn leading(text: &'a str) -> Option<Self> {
        for at in memchr::memchr2_iter(b':', b'(', text.as_bytes())
            .chain(memchr::memmem::find(text.as_bytes(), b" line "))
        {
            let path = text[..at].trim_end();
            if !paths::is_source(path) {
                // Blanks are part of a path only behind its root.
                if path.contains(' ') && !path.starts_with('/') && path.as_bytes().get(1) != Some(&b':') {
                    return None;
                }
                continue;
            }
            if path.contains(' ') && !path.starts_with('/') && path.as_bytes().get(1) != Some(&b':') {
                return None;
            }
            if let Some((line, column, rest)) = position(&text[at..]) {
                return Some(Self { path, line, column, rest });
            }
        }
        None
    }
}

/// The position that a text begins with, and what follows it.
fn position(text: &str) -> Option<(u32, Option<u32>, &str)> {
    if let Some(rest) = text.strip_prefix(" line ") {
        let (line, rest) = number(rest)?;
        return Some((line, None, rest.trim_start_matches([',', ':'])));
    }
    let mut rest = text;
    let mut brackets = "";
    for (open, close) in [(": (", ")"), (":(", ")"), (":[", "]"), ("(", ")")] {
        if let Some(inside) = rest.strip_prefix(open) {
            (rest, brackets) = (inside, close);
            break;
        }
    }
    if brackets.is_empty() {
        rest = rest.strip_prefix(':')?;
    }
    let (line, rest) = number(rest)?;
    let separators: &[char] = if brackets.is_empty() { &[':'] } else { &[','] };
    let (column, mut rest) = match rest.strip_prefix(separators).map(str::trim_start).and_then(number) {
        Some((column, rest)) => (Some(column), rest),
        None => (None, rest),
    };
    if brackets.is_empty() {
        // A range, as in `58:5-12` or `58:5-60:7`.
        if let Some(range) =
            rest.strip_prefix('-').filter(|range| range.starts_with(|c: char| c.is_ascii_digit()))
        {
            let (_, end) = number(range)?;
            rest = end.strip_prefix(':').and_then(number).map_or(end, |(_, end)| end);
        }
    } else {
        let end = rest.find(brackets)?;
        if !rest[..end].bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-' | b' ')) {
            return None;
        }
        rest = &rest[end + brackets.len()..];
    }
    if rest.starts_with(|next: char| next.is_ascii_alphanumeric()) || line == 0 {
        return None;
    }
    let rest = rest
        .strip_prefix(':')
        .or_else(|| rest.strip_prefix(" - "))
        .or_else(|| rest.strip_prefix(" : "))
        .unwrap_or(rest);
    Some((line, column, rest.trim_start_matches(['"', ']']).trim_start_matches(':')))
}
