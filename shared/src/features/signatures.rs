//! Tests of the signatures that ship, `models/failure/patterns.toml`.

use super::Patterns;
use crate::failure::FailureClass;
use crate::kind::FailureKind;
use serde::Deserialize;

/// The shortest word by which an alternative is found. Shorter ones occur in every log, so the expression always runs.
const WORD_MIN: usize = 3;

#[derive(Deserialize)]
struct Record {
    id: String,
    label: FailureClass,
    alt_label: Option<FailureClass>,
    excerpt: String,
}

fn shipped() -> Patterns {
    Patterns::parse_toml(include_str!("../../../models/failure/patterns.toml")).unwrap()
}

fn records() -> Vec<Record> {
    let lines = include_str!("../../../tests/fixtures/ci_logs/validation.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_signature_is_found_on_its_own_example_and_tells_its_kind() {
    let patterns = shipped();
    for pattern in patterns.all() {
        let found = patterns.matches(&pattern.example);
        assert!(found.contains(&pattern), "{} is not found on {:?}", pattern.id, pattern.example);
        let told = patterns.told(&pattern.example).unwrap();
        let same = (told.suggests, told.kind) == (pattern.suggests, pattern.kind);
        assert!(same, "{:?} of {} is told by {}", pattern.example, pattern.id, told.id);
    }
}

/// Lines that are no signature's example. The last ones of each group hold words of another kind, too.
#[test]
fn a_line_is_told_as_people_say_it() {
    let lines = [
        ("error[E0499]: cannot borrow `*self` as mutable more than once at a time", "compile"),
        ("src/main.c:4:10: fatal error: openssl/ssl.h: No such file or directory", "compile"),
        ("FAIL\tgithub.com/acme/app/store [build failed]", "compile"),
        ("##[error]src/index.ts(3,24): error TS2307: Cannot find module './api'.", "type_check"),
        ("app/models.py:12: error: Incompatible return value type  [return-value]", "type_check"),
        ("/usr/bin/ld: main.o: undefined reference to `compress2'", "link"),
        ("  14:7  error  'total' is assigned a value but never used  no-unused-vars", "lint"),
        (
            "error: the lint `clippy::needless_return` is on: `-D clippy::needless-return` implied by it",
            "lint",
        ),
        ("All matched files use Prettier code style? No: Code style issues found in 2 files.", "format"),
        ("2 files would be reformatted, 31 files would be left unchanged.", "format"),
        ("--- FAIL: TestStore/keeps_order (0.01s)", "unit_test"),
        ("FAILED (failures=1, errors=2)", "unit_test"),
        ("  7 failed", "end_to_end_test"),
        ("Error: Test timeout of 30000ms exceeded.", "hung_test"),
        ("Jest: \"global\" coverage threshold for branches (80%) not met: 71.2%", "coverage_gate"),
        ("npm error code EUSAGE: Missing: zod@3.22.4 from lock file", "lock_file"),
        ("error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.", "lock_file"),
        ("npm ERR! ERESOLVE could not resolve", "peer_dependency"),
        ("npm ERR! notarget No matching version found for left-pad@99.0.0.", "package_not_found"),
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            "shared_library",
        ),
        ("npm error 404 Not Found - PUT https://registry.npmjs.org/app - Not found", "missing_permission"),
        ("remote: Permission to acme/app.git denied to octo-bot.", "missing_permission"),
        (
            "Error response from daemon: Get \"https://ghcr.io/v2/\": unauthorized: authentication required",
            "bad_credentials",
        ),
        ("##[error]Input required and not supplied: api-key", "missing_secret"),
        ("##[error]Input required and not supplied: version", "missing_input"),
        ("ls: cannot access 'dist/': No such file or directory", "missing_file"),
        ("/bin/sh: 1: cargo: not found", "missing_command"),
        ("##[error]Process completed with exit code 127.", "missing_command"),
        ("curl: (6) Could not resolve host: registry.npmjs.org", "dns"),
        ("javax.net.ssl.SSLHandshakeException: PKIX path building failed", "tls"),
        ("npm error code ETIMEDOUT", "connection"),
        ("503 Service Unavailable - GET https://registry.npmjs.org/react", "registry_down"),
        ("Error: ENOSPC: System limit for number of file watchers reached, watch '/app'", "open_files"),
        ("tar: write error: No space left on device", "disk_full"),
        ("##[error]The hosted runner lost communication with the server.", "runner_lost"),
        ("HTTP 403: API rate limit exceeded for installation ID 12345.", "rate_limit"),
        (
            "error: failed to publish to registry: crate version 1.0.0 is already uploaded",
            "already_published",
        ),
        (
            "Error: release web failed, and has been rolled back: timed out waiting for the condition",
            "rollout",
        ),
        ("Lock Info: Error acquiring the state lock: ConditionalCheckFailedException", "state_lock"),
        ("12 vulnerabilities (3 low, 9 high)", "vulnerable_dependency"),
        ("##[error]The action 'Deploy' has timed out after 10 minutes.", "step_limit"),
    ];
    let patterns = shipped();
    for (line, kind) in lines {
        let told = patterns.told(line);
        let said = told.and_then(|pattern| pattern.kind).map(FailureKind::label);
        assert_eq!(said, Some(kind), "{line:?} is told by {:?}", told.map(|pattern| &pattern.id));
    }
    for line in
        ["Compiling serde v1.0.0", "##[error]Process completed with exit code 1.", "all tests passed", ""]
    {
        assert_eq!(patterns.told(line), None);
    }
}

#[test]
fn each_advice_is_one_or_two_whole_sentences() {
    let of_classes = FailureClass::ALL.map(|class| (class.name(), class.advice()));
    let of_kinds = FailureKind::ALL.iter().map(|kind| (kind.label(), kind.advice()));
    let patterns = shipped();
    let of_patterns = patterns.all().iter().map(|pattern| (&*pattern.id, &*pattern.advice));
    for (whose, advice) in of_classes.into_iter().chain(of_kinds).chain(of_patterns) {
        let ends = advice.matches(". ").count() + usize::from(advice.ends_with('.'));
        assert!(advice.ends_with('.') && ends <= 2, "{whose}: {advice}");
        assert!(advice.starts_with(|char: char| char.is_ascii_uppercase()), "{whose}: {advice}");
        assert!(!advice.contains(['?', '!', ';', '\n']), "{whose}: {advice}");
    }
    assert!(FailureClass::ALL.iter().all(|class| class.docs().starts_with("https://")));
}

#[test]
fn a_cue_without_a_kind_stands_behind_all_signatures_of_one_cause_and_every_kind_is_told() {
    let patterns = shipped();
    let kinds: Vec<_> = patterns.all().iter().map(|pattern| pattern.kind).collect();
    let signatures = kinds.iter().filter(|kind| kind.is_some()).count();
    assert!(signatures >= 130, "{signatures}");
    assert!(kinds[..signatures].iter().all(Option::is_some));
    for kind in FailureKind::ALL {
        assert!(kinds.contains(&Some(*kind)), "no signature tells {}", kind.label());
    }
}

#[test]
fn each_alternative_is_found_by_a_word_of_three_characters_or_more() {
    let patterns = shipped();
    let is_slow = |words: &[String]| words.iter().map(String::len).min().unwrap_or(0) < WORD_MIN;
    let slow = patterns.branches().iter().filter(|branch| is_slow(&branch.words));
    let slow: Vec<_> =
        slow.map(|branch| (&patterns.all()[branch.pattern as usize].id, &branch.regex)).collect();
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The shipped records are a part of those that `also_on` was measured on, so they can't have more than it says.
#[test]
fn a_signature_is_found_on_no_more_records_of_other_classes_than_it_says() {
    let patterns = shipped();
    let mut others = vec![Vec::new(); patterns.all().len()];
    for record in records() {
        for pattern in patterns.matches(&record.excerpt) {
            let is_own = record.label == pattern.suggests || record.alt_label == Some(pattern.suggests);
            let at = patterns.all().iter().position(|other| other.id == pattern.id).unwrap();
            if !is_own {
                others[at].push(record.id.clone());
            }
        }
    }
    for (pattern, others) in patterns.all().iter().zip(others) {
        assert!(others.len() <= pattern.also_on as usize, "{}: {others:?}", pattern.id);
    }
}
