//! Removes what looks like a secret or an e-mail address from a line, before the line is stored or shown.
//!
//! GitHub masks the secrets that it knows in its logs. This file finds those that it does not know, and those in diffs.
//! The shapes are the ones that their makers publish
//! (<https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns>). A secret
//! without a shape is found where it is assigned to a telling name. This is the only list: it decides what is stored,
//! what a review quotes, and what `sentinel mine` leaves out.
//!
//! A line that may be encoded is read twice: as it stands, and with `%XX`, `\n`, `\u0041` and the like decoded.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// The text that replaces a secret.
pub const SECRET: &str = "[secret]";
/// The text that replaces an e-mail address.
pub const EMAIL: &str = "[e-mail]";

/// The largest number of times that a line is read until nothing more is found. Each reading removes something, so few
/// lines need a third.
const READINGS_MAX: usize = 8;

/// From this length on, a quoted literal without digits counts as a secret if its name says so.
const LITERAL_BYTES: usize = 20;

/// Shapes of whole tokens, and places where a secret stands. The groups named `…name` are the text before it, which
/// stays.
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = [
        // ASCII throughout: the Unicode tables are left out of this build.
        r"(?-u)(?P<token>",
        // No word looks like these, so they are found whatever touches them. GitHub, GitLab, npm, PyPI, Slack, AWS,
        // Google, OpenAI and alike, Hugging Face, DigitalOcean, SendGrid, ours, and JSON Web Tokens.
        r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|gl(?:pat|rt|ptt)-[A-Za-z0-9_-]{16,}",
        r"|npm_[A-Za-z0-9]{20,}|pypi-AgE[A-Za-z0-9_-]{13,}|xox[abeprs]-[0-9][A-Za-z0-9-]{9,}",
        r"|A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}",
        r"|sk-(?:proj|ant|svcacct|admin)-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{40,}",
        r"|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|sntl_[a-f0-9]{64}",
        r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        // These need a border, for "task-…" and "mask_test_…" end like them.
        r"|\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}",
        r"|pypi-[A-Za-z0-9_-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\\ ]*)",
        // Or what no word has behind it: capitals, small letters and digits.
        r"|(?P<mixed>sk-[A-Za-z0-9]{32,}|[srp]k_(?:live|test)_[A-Za-z0-9]{16,})",
        // https://user:password@host
        r"|(?P<login>[a-z][a-z0-9+.-]*://)[A-Za-z0-9._~%!$&'*+,;=:-]+@",
        // PASSWORD=…, "api_key": "…", Authorization: Bearer …
        r#"|(?P<name>\b(?i:bearer|basic)[ ]+|(?i:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)(?:[_-][A-Za-z0-9_-]{0,24})?["']?[ ]*(?:=>|:=|=|:)[ ]*["']?)"#,
        r"(?P<value>[A-Za-z0-9._~+/=@!#$%^&*-]{8,})",
        // password is …, ENV API_KEY …, --token …: prose says such things of no secret, so the value must look like one.
        r#"|(?P<said>(?i:passw(?:or)?d|passphrase|secret|token|credential|(?:api|access|private|signing|encryption|session|auth|deploy|master)[_-]?key)(?:[_-][A-Za-z0-9_-]{0,24})?["']?(?:[ ]+(?i:is|was)\b:?)?[ ]+["'`]?)"#,
        r"(?P<told>[A-Za-z0-9+/_=!#$^&*~-]{8,})",
        r"|(?P<email>[A-Za-z0-9._%+-]{1,64}@[A-Za-z][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}\b)",
    ];
    Regex::new(&shapes.concat()).expect("a constant")
});

/// Returns `line` without secrets and e-mail addresses.
#[must_use]
pub fn redact(line: &str) -> Cow<'_, str> {
    let mut redacted = Cow::Borrowed(line);
    for _ in 0..READINGS_MAX {
        let Some(next) = read_once(&redacted) else { break };
        redacted = Cow::Owned(next);
    }
    redacted
}

/// Whether `text`, of one line or several, contains a secret. An e-mail address is not one.
#[must_use]
pub fn holds_a_secret(text: &str) -> bool {
    let holds = |text: &str| found_in(text).any(|(_, instead)| instead == SECRET);
    holds(text) || Decoded::of(text).is_some_and(|decoded| holds(&decoded.text))
}

/// Reads a line once. None if nothing was found.
fn read_once(line: &str) -> Option<String> {
    let decoded = Decoded::of(line);
    let of_decoded = decoded.and_then(|decoded| taken_out(line, &decoded.text, |at| decoded.starts[at]));
    match of_decoded {
        Some(once) => Some(taken_out(&once, &once, |at| at).unwrap_or(once)),
        None => taken_out(line, line, |at| at),
    }
}

/// Removes from `line` what is found in `text`. The byte `at` of `text` comes from the byte `source(at)` of `line`.
fn taken_out(line: &str, text: &str, source: impl Fn(usize) -> usize) -> Option<String> {
    let mut left = String::new();
    let mut end = 0;
    for (range, instead) in found_in(text) {
        left.push_str(&line[end..source(range.start)]);
        left.push_str(instead);
        end = source(range.end);
    }
    (end > 0).then(|| left + &line[end..])
}

/// The parts of `text` that must not be shown, in order, and their replacements.
fn found_in(text: &str) -> impl Iterator<Item = (Range<usize>, &'static str)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let found = SHAPES.captures_at(text, at)?;
            match Found::of(&found) {
                Found::Secret(range) => {
                    at = range.end;
                    return Some((range, SECRET));
                }
                Found::Email(range) => {
                    at = range.end;
                    return Some((range, EMAIL));
                }
                Found::Nothing { until } => at = until,
            }
        }
    })
}

/// The meaning of one match.
enum Found {
    Secret(Range<usize>),
    Email(Range<usize>),
    /// Not a secret up to `until`; one may follow there.
    Nothing {
        until: usize,
    },
}

impl Found {
    fn of(found: &Captures<'_>) -> Self {
        let part = |name: &str| found.name(name).map(|part| (part.range(), part.as_str()));
        let whole = found.get_match();
        if let Some((token, _)) = part("token") {
            Self::Secret(token)
        } else if let Some((mixed, text)) = part("mixed") {
            if is_mixed(text) { Self::Secret(mixed) } else { Self::Nothing { until: mixed.start + 1 } }
        } else if let Some((scheme, _)) = part("login") {
            Self::Secret(scheme.end..whole.end() - 1)
        } else if let Some((value, text)) = part("value") {
            let is_quoted = part("name").is_some_and(|(_, name)| name.ends_with(['"', '\'']));
            if is_valuable(text, is_quoted) {
                Self::Secret(value)
            } else {
                Self::Nothing { until: value.start }
            }
        } else if let Some((told, text)) = part("told") {
            if is_telling(text) { Self::Secret(told) } else { Self::Nothing { until: told.start } }
        } else {
            match part("email") {
                // What every clone over SSH says.
                Some((_, text)) if text.starts_with("git@") => Self::Nothing { until: whole.end() },
                _ => Self::Email(whole.range()),
            }
        }
    }
}

/// Whether a token mixes capitals, small letters and digits, so that it is neither a word nor a hash.
fn is_mixed(token: &str) -> bool {
    let body = token.rsplit(['-', '_']).next().unwrap_or_default();
    let has = |is: fn(&u8) -> bool| body.bytes().any(|byte| is(&byte));
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// Whether a value looks like a secret: it has a digit, or it is a long literal. "Unexpected token: punctuation" is not
/// a secret.
fn is_valuable(value: &str, is_quoted: bool) -> bool {
    let is_literal = |byte: u8| byte.is_ascii_alphanumeric() || b"+/_=-".contains(&byte);
    value.bytes().any(|byte| byte.is_ascii_digit())
        || is_quoted && value.len() >= LITERAL_BYTES && value.bytes().all(is_literal)
}

/// Whether a value has letters and digits and is not a path of words.
fn is_telling(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.bytes().any(|byte| is(&byte));
    has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit) && !(value.contains('/') && value.contains('-'))
}

/// A line whose escapes of ASCII characters were decoded, and where in the line each byte comes from.
struct Decoded {
    text: String,
    /// For each byte of `text` its place in the line, and the end of the line as the last entry.
    starts: Vec<usize>,
}

impl Decoded {
    /// Decodes a line; None if it has no escapes.
    fn of(line: &str) -> Option<Self> {
        if !line.bytes().any(|byte| matches!(byte, b'%' | b'\\')) {
            return None;
        }
        let mut decoded =
            Self { text: String::with_capacity(line.len()), starts: Vec::with_capacity(line.len() + 1) };
        let (mut at, mut any) = (0, false);
        while let Some(character) = line[at..].chars().next() {
            let (shown, length) = match escape(&line.as_bytes()[at..]) {
                Some((byte, length)) => {
                    any = true;
                    (char::from(byte), length)
                }
                None => (character, character.len_utf8()),
            };
            decoded.text.push(shown);
            decoded.starts.extend(std::iter::repeat_n(at, shown.len_utf8()));
            at += length;
        }
        decoded.starts.push(at);
        any.then_some(decoded)
    }
}

/// The ASCII character that an escape at the start of `bytes` stands for, and the escape's length: of URLs (RFC 3986,
/// section 2.1), of JSON (RFC 8259, section 7) and of what shells and languages write alike.
fn escape(bytes: &[u8]) -> Option<(u8, usize)> {
    let number = |digits: std::ops::Range<usize>| {
        let text = std::str::from_utf8(bytes.get(digits)?).ok()?;
        let all = text.bytes().all(|digit| digit.is_ascii_hexdigit());
        u32::from_str_radix(text, 16)
            .ok()
            .filter(|_| all)
            .and_then(|code| u8::try_from(code).ok())
            .filter(u8::is_ascii)
    };
    match bytes {
        [b'%', ..] => Some((number(1..3)?, 3)),
        [b'\\', b'u', ..] => Some((number(2..6)?, 6)),
        [b'\\', b'x', ..] => Some((number(2..4)?, 4)),
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        [b'\\', quoted @ (b'"' | b'\'' | b'/' | b'\\'), ..] => Some((*quoted, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::excerpt::{Excerpt, mask};
    use proptest::prelude::*;

    #[test]
    fn ordinary_lines_stay_as_they_are() {
        for line in [
            "npm error code ERESOLVE",
            "fatal: could not read Username for 'https://github.com': No such device or address",
            "##[error]Process completed with exit code 1.",
            "E   AssertionError: assert token == 'x'",
            "error[E0425]: cannot find value `secret` in this scope",
            "    at Object.<anonymous> (/home/runner/work/app/src/tokenizer.test.ts:12:5)",
            "pull access denied for org/app@sha256:0123456789abcdef",
            "Error: Input required and not supplied: token",
            "SyntaxError: Unexpected token: punctuation (})",
            "git@github.com: Permission denied (publickey).",
            "npm error peer react@17.0.2 from react-table@7.8.0-beta.1",
            "Basic authentication is not supported",
            "##[error]The process '/usr/bin/git' failed with exit code 128: 100%25",
            r"C:\new\token\readme.txt(12,5): error CS1002: ; expected",
            "password is required for user postgres",
            "Unexpected token in JSON at position 12345678",
            "the task-running-in-the-background-of-the-runner was cancelled",
            "FAILED tests/test_disk_test_implementation.py::test_mask_test_everything",
            "Secret test-be8ac4cc/lifecycle-client-414c2a83-credentials not found",
            r#"{"message":"secrets \"test-client-1608fe2f-credentials\" not found"}"#,
            "Cache hit for restore-key: Linux-node-0123456789abcdef",
        ] {
            assert_eq!(redact(line), line);
        }
    }

    #[test]
    fn what_names_a_secret_keeps_its_name_and_loses_its_value() {
        for (line, left) in [
            ("DB_PASSWORD=hunter2hunter2 make", "DB_PASSWORD=[secret] make"),
            (r#"{"api_key": "0123456789abcdef"}"#, r#"{"api_key": "[secret]"}"#),
            (r#"api_key = "abcdefghijklmnopqrstuvwxyz""#, r#"api_key = "[secret]""#),
            ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [secret]"),
            ("git clone https://bot:pass@host/x.git", "git clone https://[secret]@host/x.git"),
            ("Author: A B <a.b@example.co.uk>", "Author: A B <[e-mail]>"),
            ("ENV SIGNING_KEY 0a1b2c3d4e5f", "ENV SIGNING_KEY [secret]"),
            ("deploy --token hunter2hunter2 --force", "deploy --token [secret] --force"),
            ("the password is 'hunter2hunter2'", "the password is '[secret]'"),
            ("Token password is hunter2hunter2", "Token password is [secret]"),
            ("machine x login bot password s3cr3ts3cr3t", "machine x login bot password [secret]"),
            ("GET /x?token%3Dabcdef0123456789 HTTP/1.1", "GET /x?token%3D[secret] HTTP/1.1"),
            (r#"{\"password\": \"hunter2hunter2\"}"#, r#"{\"password\": \"[secret]\"}"#),
            ("mail%3Aa.b%40example.com", "mail%3A[e-mail]"),
        ] {
            assert_eq!(redact(line), left);
        }
    }

    #[test]
    fn a_token_is_found_whatever_touches_its_left() {
        let token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
        for before in
            ["%3D", "%253D", r"\n", r"\\n", r"\u000a", r"\x0a", r"\t", "MY_", "a", "7", "_", "é", "\u{200b}"]
        {
            assert_eq!(redact(&format!("{before}{token}")), format!("{before}[secret]"));
            assert!(holds_a_secret(&format!("x\n{before}{token}\n")));
        }
        assert_eq!(redact(&token.replace("ghp", r"\u0067h%70")), SECRET);
        assert!(!holds_a_secret("by a.b@example.com") && !holds_a_secret("let key = name();"));
    }

    fn secret() -> impl Strategy<Value = String> {
        prop_oneof![
            "ghp_[A-Za-z0-9]{36}",
            "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
            "glpat-[A-Za-z0-9_]{20}",
            "npm_[A-Za-z0-9]{36}",
            "xoxb-[0-9]{12}-[A-Za-z0-9]{24}",
            "sk_live_[A-Za-z0-9]{24}",
            "AKIA[A-Z0-9]{16}",
            "AIza[A-Za-z0-9]{35}",
            "sk-[A-Za-z0-9]{40}",
            "sntl_[a-f0-9]{64}",
            "eyJ[A-Za-z0-9]{20}\\.[A-Za-z0-9]{30}\\.[A-Za-z0-9]{20}",
            "[a-z]{3,8}\\.[a-z]{3,8}@[a-z]{3,8}\\.(com|org|io)",
        ]
    }

    /// What is found with any character on its left.
    fn unmistakable() -> impl Strategy<Value = String> {
        prop_oneof![
            "gh[pousr]_[A-Za-z0-9]{36}",
            "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
            "glpat-[A-Za-z0-9_]{20}",
            "npm_[A-Za-z0-9]{36}",
            "xoxb-[0-9]{12}-[A-Za-z0-9]{24}",
            "AKIA[A-Z0-9]{16}",
            "AIza[A-Za-z0-9]{35}",
            "hf_[A-Za-z0-9]{34}",
            "sk-[a-z]{10}[A-Z]{10}[0-9]{10}[A-Za-z0-9]{10}",
            "sk_live_[a-z]{8}[A-Z]{8}[0-9]{8}",
            "sk-ant-api03-[A-Za-z0-9]{40}",
            "sntl_[a-f0-9]{64}",
            "pypi-AgEIcHlwaS5vcmc[A-Za-z0-9]{60}",
        ]
    }

    proptest! {
        #[test]
        fn no_secret_survives_wherever_it_stands(
            secret in secret(), before in "[ -~]{0,40}", after in "[ -~]{0,40}", quote in "[ \"'=(]",
        ) {
            let line = format!("{before}{quote}{secret} {after}");
            let left = redact(&line);
            prop_assert!(!left.contains(&secret), "{left}");
        }

        #[test]
        fn no_unmistakable_token_survives_whatever_is_around_it(
            secret in unmistakable(), before in "(\\PC|[A-Za-z0-9_]|%3D|%20|\\\\n|\\\\u00[0-7][0-9a-f]|\\\\|[\"'=:/-]){0,24}",
            after in "(\\PC|%20|\\\\n|[\"'=:/ ]){0,24}",
        ) {
            let line = format!("{before}{secret}{after}");
            let left = redact(&line);
            prop_assert!(!left.contains(&secret), "{left}");
            prop_assert!(holds_a_secret(&line));
        }

        #[test]
        fn a_secret_in_url_or_json_escapes_does_not_survive(secret in unmistakable(), kind in 0usize..3, at in prop::collection::vec(any::<bool>(), 128)) {
            let escaped: String = secret.chars().zip(&at).map(|(letter, is_escaped)| match (is_escaped, kind) {
                (false, _) => letter.to_string(),
                (_, 0) => format!("%{:02X}", u32::from(letter)),
                (_, 1) => format!("\\u{:04x}", u32::from(letter)),
                _ => format!("\\x{:02x}", u32::from(letter)),
            }).collect();
            prop_assert_eq!(redact(&escaped), SECRET);
        }

        #[test]
        fn what_the_model_reads_and_the_store_keeps_holds_no_secret(secret in secret(), word in "[a-z]{3,9}") {
            let log = format!("start\nerror: {word} failed with {secret}\n##[error]exit code 1\n");
            let masked = mask(&Excerpt::of(log.as_bytes())).text;
            prop_assert!(!masked.contains(&secret.to_ascii_lowercase()), "{masked}");
            // No part of it either that is long enough to be worth something.
            for part in secret.split(|at: char| !at.is_ascii_alphanumeric()).filter(|part| part.len() >= 16) {
                prop_assert!(!masked.contains(&part.to_ascii_lowercase()), "{masked}");
            }
        }

        #[test]
        fn any_line_is_redacted_once_and_for_all(line in "\\PC{0,200}") {
            let once = redact(&line).into_owned();
            prop_assert_eq!(redact(&once).into_owned(), once);
        }
    }
}
