//! What looks like a secret or an e-mail address is taken out of a line before it is stored or told to anyone.
//!
//! GitHub masks the secrets it knows in its logs; this is for those it does not know, and for diffs. Shapes are those
//! their makers publish (<https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns>);
//! a secret without a shape is found where it is assigned to a name that says so.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// In the place of a secret.
pub const SECRET: &str = "[secret]";
/// In the place of an e-mail address.
pub const EMAIL: &str = "[e-mail]";

/// Shapes of whole tokens, and places where a secret stands: `keep` is what stays before it.
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = [
        // ASCII throughout: the Unicode tables are left out of this build.
        r"(?-u)",
        // GitHub, GitLab, npm, PyPI, Slack, Stripe, AWS, Google, OpenAI and alike, ours, and JSON Web Tokens.
        r"(?P<token>\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|gl(?:pat|rt|ptt)-[A-Za-z0-9_-]{16,}",
        r"|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}",
        r"|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}",
        r"|sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{40,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"|sntl_[a-f0-9]{64}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)",
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\\ ]*)",
        // https://user:password@host
        r"|(?P<login>[a-z][a-z0-9+.-]*://)[A-Za-z0-9._~%!$&'*+,;=:-]+@",
        r#"|(?P<name>\b(?i:bearer|basic)[ ]+|(?i:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)(?:[_-][A-Za-z0-9_-]{0,24})?["']?[ ]*(?:=>|:=|=|:)[ ]*["']?)"#,
        r"(?P<value>[A-Za-z0-9._~+/=@!#$%^&*-]{8,})",
        r"|(?P<email>[A-Za-z0-9._%+-]{1,64}@[A-Za-z][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}\b)",
    ];
    Regex::new(&shapes.concat()).expect("a constant")
});

/// `line` without secrets and e-mail addresses.
#[must_use]
pub fn redact(line: &str) -> Cow<'_, str> {
    SHAPES.replace_all(line, |found: &regex::Captures<'_>| {
        let kept = |name: &str| found.name(name).map(|kept| kept.as_str());
        match (kept("login"), kept("name").zip(kept("value")), kept("email")) {
            (Some(scheme), ..) => format!("{scheme}{SECRET}@"),
            // "Unexpected token: punctuation" is no secret.
            (_, Some((name, value)), _) if value.bytes().any(|byte| byte.is_ascii_digit()) => {
                format!("{name}{SECRET}")
            }
            (_, Some((name, value)), _) => format!("{name}{}", redact(value)),
            // What every clone over SSH says.
            (.., Some(email)) if email.starts_with("git@") => email.to_owned(),
            (.., Some(_)) => EMAIL.to_owned(),
            _ => SECRET.to_owned(),
        }
    })
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
        ] {
            assert_eq!(redact(line), line);
        }
    }

    #[test]
    fn what_names_a_secret_keeps_its_name_and_loses_its_value() {
        for (line, left) in [
            ("DB_PASSWORD=hunter2hunter2 make", "DB_PASSWORD=[secret] make"),
            (r#"{"api_key": "0123456789abcdef"}"#, r#"{"api_key": "[secret]"}"#),
            ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [secret]"),
            ("git clone https://bot:pass@host/x.git", "git clone https://[secret]@host/x.git"),
            ("Author: A B <a.b@example.co.uk>", "Author: A B <[e-mail]>"),
        ] {
            assert_eq!(redact(line), left);
        }
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
