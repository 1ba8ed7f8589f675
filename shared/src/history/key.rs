//! What failures have in common.

use super::masked::{masked, masked_name, only_counts, says_only_that_it_failed};
use crate::classifier::Verdict;
use crate::facts::{Facts, Place, PlaceKind, Tool};
use crate::failure::FailureClass;
use crate::hex;
use sha2::{Digest, Sha256};

/// The largest number of failing tests that a cause is told by. More than these seldom fail each for a reason of its own:
/// a service was not up, or a fixture broke. Which of them fail then varies, so that 40 and 41 failing tests with one
/// deciding line are one cause. Up to this many, one more or one less is another cause.
pub const TESTS_IN_KEY_MAX: usize = 10;

/// The shortest beginning of a test's name that is taken for it in a line. `test` and `src` are in many lines.
const NAME_MIN: usize = 6;

/// The number of bytes of a digest that a key shows: enough that no two causes of a repository meet by chance.
const KEY_BYTES: usize = 8;

/// What failures have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What failures with this cause share.
    pub key: CauseKey,
    /// The most likely class, whether or not the verdict was confident enough to say it: a verdict a little under its
    /// threshold does not part what belongs together.
    pub class: &'static str,
    /// The tool that reported the failing tests, if there are any.
    pub tool: Option<String>,
    /// The deciding line, as the log has it, without GitHub's marker; empty if there is none.
    pub line: String,
    /// The names of the failing tests, sorted; at most as many as [`Facts`] holds.
    pub tests: Vec<String>,
}

/// The name of a cause, 16 digits of a SHA-256. The same in every run, on every branch and runner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CauseKey(String);

// === impl Cause ===

impl Cause {
    /// The cause of a failure.
    #[must_use]
    pub fn of(verdict: &Verdict, facts: &Facts) -> Self {
        let class = verdict.prediction.class;
        let line = verdict.explanation.line.as_ref().map_or("", |line| line.text.as_str());
        let line = line.strip_prefix("##[error]").unwrap_or(line).trim();
        let mut tests: Vec<String> = facts.failing_tests.iter().map(|test| test.name.clone()).collect();
        tests.sort_unstable();
        tests.dedup();
        let tool = facts.failing_tests.first().map(|test| name_of(test.tool));
        let key = CauseKey::of(&told_by(class, line, &tests, facts));
        Self { key, class: class.name(), tool, line: line.to_owned(), tests }
    }
}

/// The name of a test runner, as it is in JSON.
fn name_of(tool: Tool) -> String {
    serde_json::to_value(tool).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Whether all that is known of a cause is that something failed. Failures with such a cause may have nothing in common, so
/// that their past says nothing: see [`Seen::vague`](super::Seen::vague).
#[must_use]
pub fn is_vague(line: &str, tests: &[String]) -> bool {
    tests.is_empty() && (says_only_that_it_failed(line) || only_counts(line))
}

/// What tells this cause from others.
///
/// 1. The failing tests, if the class is [`FailureClass::Test`] or the line is about them. A test runs other programs, and
///    their failures may be of another class: then the line tells it.
/// 2. The deciding line, with the file that the compiler names for it on another line.
/// 3. If the line says only that something failed: the class, with the first place, the first missing thing or the folder
///    of the failing tests.
///
/// The class is told only where nothing better is: of one line, the classes of two runners differ more often than two
/// causes share a line (`training/labels/same_cause.jsonl`).
fn told_by(class: FailureClass, line: &str, tests: &[String], facts: &Facts) -> Vec<String> {
    let total = usize::try_from(facts.failing_tests_total).unwrap_or(usize::MAX).max(tests.len());
    let rest = tests.iter().fold(line.to_owned(), |line, name| line.replace(name.as_str(), " "));
    let says_nothing = says_only_that_it_failed(&rest) || only_counts(&rest);
    let of_tests = class == FailureClass::Test || says_nothing || names_one(line, tests);
    if of_tests && !tests.is_empty() && total <= TESTS_IN_KEY_MAX {
        let tool = facts.failing_tests.first().map(|test| name_of(test.tool));
        return tool.into_iter().chain(tests.iter().map(|name| masked_name(name))).collect();
    }
    let errors = || facts.places.iter().filter(|place| place.kind == PlaceKind::Error);
    let text = masked(&rest);
    if !says_nothing {
        let said_by = |place: &&Place| {
            let said = masked(place.message.as_deref().unwrap_or_default());
            !said.is_empty() && (text.contains(&said) || said.contains(&text))
        };
        let file = errors()
            .find(said_by)
            .map(|place| masked(&place.path))
            .filter(|file| !text.contains(file.as_str()));
        return std::iter::once(text).chain(file).collect();
    }
    let place = errors().next();
    let place = place
        .map(|place| masked(&format!("{} {}", place.path, place.message.as_deref().unwrap_or_default())));
    let missing = || facts.missing.first().map(|missing| masked(&missing.name));
    let folder = || common_start(tests).map(str::to_owned);
    let more = place.or_else(missing).or_else(folder);
    [class.name().to_owned(), text].into_iter().chain(more).collect()
}

/// Whether a line names one of the tests, or the file or test that it is in.
fn names_one(line: &str, tests: &[String]) -> bool {
    tests.iter().any(|name| {
        let first = name.split([':', '/', '>', '›', ' ']).next().unwrap_or_default();
        line.contains(name.as_str()) || (first.len() >= NAME_MIN && line.contains(first))
    })
}

/// What the names of all tests begin with, up to a character that parts names; None if there are no tests.
fn common_start(tests: &[String]) -> Option<&str> {
    // They are sorted, so that what the first and the last share, all share.
    let (first, last) = (tests.first()?, tests.last()?);
    let shared = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let parts = |byte: &u8| matches!(byte, b'/' | b'.' | b':' | b'>' | b' ');
    let end = first.as_bytes()[..shared].iter().rposition(parts);
    end.and_then(|end| first.get(..end))
}

// === impl CauseKey ===

impl CauseKey {
    fn of(parts: &[String]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.as_bytes());
            // No masked text holds it, so that two parts never read as one.
            digest.update([0]);
        }
        Self(hex::encode(&digest.finalize()[..KEY_BYTES]))
    }

    /// The 16 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key with these 16 lower-case digits; None for anything else.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 2 * KEY_BYTES && digits.bytes().all(is_digit)).then(|| Self(digits.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Explanation, Prediction};
    use crate::excerpt::Line;
    use crate::facts::FailingTest;
    use crate::features::Telemetry;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::HashMap;

    fn verdict(class: FailureClass, line: &str) -> Verdict {
        Verdict {
            prediction: Prediction { probabilities: [0.1; 10], class, confidence: 0.9, abstained: false },
            explanation: Explanation {
                terms: Vec::new(),
                line: Some(Line { number: 1, text: line.to_owned() }),
            },
            telemetry: Telemetry::default(),
        }
    }

    fn failing(names: &[&str]) -> Facts {
        let test = |name: &&str| FailingTest { name: (*name).to_owned(), tool: Tool::Pytest };
        let failing_tests: Vec<_> = names.iter().map(test).collect();
        Facts { failing_tests_total: failing_tests.len() as u32, failing_tests, ..Facts::default() }
    }

    fn key(line: &str) -> CauseKey {
        Cause::of(&verdict(FailureClass::Build, line), &Facts::default()).key
    }

    #[test]
    fn a_key_is_sixteen_digits_and_round_trips() {
        let key = key("error: it broke");
        assert_eq!(CauseKey::parse(key.as_str()), Some(key));
        for text in ["", "1a2b", "1A2B3C4D5E6F7081", "1a2b3c4d5e6f7081a", "gggggggggggggggg"] {
            assert_eq!(CauseKey::parse(text), None, "{text}");
        }
    }

    /// A change of what is masked parts the causes that are stored from those to come. Change these only on purpose.
    #[test]
    fn keys_that_are_stored_stay() {
        let line = "##[error]src/load.ts(42,7): error TS2304: Cannot find name 'loadAll'.";
        assert_eq!(key(line).as_str(), "517c4e20cb6f69b7");
        let tests = Cause::of(
            &verdict(FailureClass::Test, "E  assert 3 == 4"),
            &failing(&["t/a.py::x", "t/b.py::y"]),
        );
        assert_eq!(tests.key.as_str(), "f9f7af2cfa09d9df");
        assert_eq!(tests.tool.as_deref(), Some("pytest"));
        assert_eq!(key("##[error]Process completed with exit code 1.").as_str(), "bc19604dda27b949");
    }

    #[test]
    fn failing_tests_tell_a_cause_whatever_their_lines_say_and_in_whatever_order() {
        let of =
            |line: &str, names: &[&str]| Cause::of(&verdict(FailureClass::Test, line), &failing(names)).key;
        let first = of("E  assert 3 == 4", &["t/a.py::x", "t/b.py::y"]);
        assert_eq!(of("E  KeyError: 'a'", &["t/b.py::y", "t/a.py::x"]), first);
        assert_ne!(of("E  assert 3 == 4", &["t/a.py::x"]), first);
        assert_ne!(of("E  assert 3 == 4", &["t/a.py::x", "t/b.py::z"]), first);
    }

    #[test]
    fn of_forty_failing_tests_one_more_is_no_other_cause() {
        let names: Vec<_> = (0..41).map(|n| format!("tests/api/test_{n}.py::x")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let of =
            |line: &str, names: &[&str]| Cause::of(&verdict(FailureClass::Test, line), &failing(names)).key;
        let line = "E  ConnectionRefusedError: [Errno 111] Connection refused";
        assert_eq!(of(line, &names), of(line, &names[..40]));
        assert_ne!(of(line, &names), of("E  KeyError: 'region'", &names));
        let counts = |failed| format!("===== {failed} failed, 3 passed in {failed}.2s =====");
        assert_eq!(of(&counts(41), &names), of(&counts(40), &names[..40]));
    }

    #[test]
    fn a_test_that_ran_into_a_full_disk_is_told_by_the_line() {
        let of = |class, line| Cause::of(&verdict(class, line), &failing(&["TestSmoke"])).key;
        let disk = of(FailureClass::Resource, "link: mapping output file failed: no space left on device");
        assert_ne!(of(FailureClass::Build, "mapper.go:57:18: undefined: TimeOfDay"), disk);
        assert_ne!(of(FailureClass::Test, "x"), disk);
    }

    #[test]
    fn a_line_that_says_only_that_it_failed_is_told_by_what_else_is_known() {
        let bare = |class, facts: &Facts| {
            Cause::of(&verdict(class, "Process completed with exit code 1."), facts).key
        };
        let place = |path: &str| Place {
            path: path.into(),
            line: 3,
            column: None,
            message: Some("unused".into()),
            kind: PlaceKind::Error,
        };
        let at = |path| Facts { places: vec![place(path)], ..Facts::default() };
        let (a, b) = (at("src/a.rs"), at("src/b.rs"));
        assert_ne!(bare(FailureClass::Build, &a), bare(FailureClass::Build, &b));
        let none = Facts::default();
        assert_ne!(bare(FailureClass::Build, &none), bare(FailureClass::Network, &none));
    }

    #[test]
    fn what_says_only_that_it_failed_is_vague() {
        for line in [
            "",
            "##[error]Process completed with exit code 1.",
            "Found 12 errors.",
            "##[error]The operation was canceled.",
        ] {
            assert!(is_vague(line, &[]), "{line}");
            assert!(!is_vague(line, &["t/a.py::x".to_owned()]), "{line}");
        }
        assert!(!is_vague("##[error]Process completed with exit code 137.", &[]));
        assert!(!is_vague("error: it broke", &[]));
    }

    #[test]
    fn the_file_that_a_compiler_names_on_the_next_line_tells_causes_apart() {
        let at = |path: &str| Facts {
            places: vec![Place {
                path: path.into(),
                line: 3,
                column: Some(1),
                message: Some("mismatched types".into()),
                kind: PlaceKind::Error,
            }],
            ..Facts::default()
        };
        let of =
            |path| Cause::of(&verdict(FailureClass::Build, "error[E0308]: mismatched types"), &at(path)).key;
        assert_ne!(of("src/a.rs"), of("src/b.rs"));
        assert_eq!(of("src/a.rs"), of("/home/runner/work/x/x/src/a.rs"));
    }

    #[test]
    fn what_names_another_thing_is_another_cause() {
        let line = "src/load.ts(42,7): error TS2304: Cannot find name 'loadAll'.";
        for other in [
            "src/save.ts(42,7): error TS2304: Cannot find name 'loadAll'.",
            "src/load.ts(42,7): error TS2305: Cannot find name 'loadAll'.",
            "src/load.ts(42,7): error TS2304: Cannot find name 'loadNone'.",
        ] {
            assert_ne!(key(line), key(other), "{other}");
        }
        assert_ne!(key("exit code 137"), key("exit code 139"));
        assert_ne!(
            key("No matching distribution found for a==1"),
            key("No matching distribution found for b==1")
        );
    }

    /// What differs from run to run, in two forms of the same thing.
    fn volatile() -> impl Strategy<Value = String> {
        prop_oneof![
            (0u32..100_000).prop_map(|n| n.to_string()),
            (0u32..100, 0u32..1000).prop_map(|(a, b)| format!("{a}.{b}s")),
            (0u32..5000).prop_map(|n| format!("{n} ms")),
            (0u32..100).prop_map(|n| format!("{n}%")),
            (0u32..100).prop_map(|n| format!("{n}.5 MiB")),
            "v?[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,3}",
            "[0-9a-f]{40}",
            "0x[0-9a-f]{12}",
            "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            "202[0-9]-0[1-9]-1[0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
            "(Jan|Mar|Dec) [1-9] [01][0-9]:[0-5][0-9]:[0-5][0-9]",
            "[1-9][0-9]\\.[0-9]{1,2}\\.[0-9]\\.[0-9]{1,3}:[0-9]{2,5}",
            "/tmp/tmp[a-z0-9_]{8}",
            "/home/runner/work/_temp/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            Just(String::new()),
        ]
    }

    fn folder() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "",
            "./",
            "/home/runner/work/shop/shop/",
            "D:\\a\\shop\\shop\\",
            "/__w/shop/shop/",
            "/builds/team/shop/",
            "/Users/runner/work/shop/shop/",
            "file:///app/",
        ])
    }

    proptest! {
        #[test]
        fn what_differs_from_run_to_run_does_not_change_the_key(a in volatile(), b in volatile(), c in volatile(), d in volatile()) {
            let line = |x: &str, y: &str| format!("fetch {x} failed: cannot read {y} from the store");
            prop_assert_eq!(key(&line(&a, &b)), key(&line(&c, &d)));
        }

        #[test]
        fn neither_folder_nor_line_nor_column_changes_the_key(
            (a, b) in (folder(), folder()), (line, column) in (1u32..9999, 1u32..200), marker in prop::bool::ANY, colour in 30u8..98,
        ) {
            let first = format!("{a}src/load.ts:{line}:{column}: error TS2304: Cannot find name 'x'");
            let marker = if marker { "##[error]" } else { "" };
            let second = format!("{marker}\u{1b}[{colour}m{b}src/load.ts\u{1b}[0m:7:1: error TS2304: Cannot find name 'x'");
            prop_assert_eq!(key(&first), key(&second));
        }

        #[test]
        fn the_class_does_not_change_the_key_of_a_line_that_tells(a in 0..10usize, b in 0..10usize, abstained: bool) {
            let of = |class: usize| {
                let mut verdict = verdict(FailureClass::ALL[class], "error: linker `cc` not found");
                verdict.prediction.abstained = abstained;
                Cause::of(&verdict, &Facts::default()).key
            };
            prop_assert_eq!(of(a), of(b));
        }

        #[test]
        fn any_line_and_names_have_a_key(line: String, names in prop::collection::vec(any::<String>(), 0..15)) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let cause = Cause::of(&verdict(FailureClass::Test, &line), &failing(&names));
            prop_assert!(CauseKey::parse(cause.key.as_str()).is_some());
        }
    }

    /// A labelled pair: two failed jobs of one repository.
    #[derive(Deserialize)]
    struct Pair {
        repo: String,
        a: Job,
        b: Job,
        same: bool,
    }

    #[derive(Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Job {
        blob: String,
        job: Option<String>,
    }

    /// The output of `sentinel classify --json` for one blob.
    #[derive(Deserialize)]
    struct Told {
        blob: String,
        jobs: Vec<ToldJob>,
    }

    #[derive(Deserialize)]
    struct ToldJob {
        job: Option<String>,
        #[serde(default)]
        top: Vec<ToldClass>,
        line: Option<Line>,
        #[serde(default)]
        facts: Facts,
    }

    #[derive(Deserialize)]
    struct ToldClass {
        class: FailureClass,
    }

    /// `SENTINEL_VERDICTS` names a file with one line a blob of `same_cause.jsonl`: `{"blob": …, "jobs": …}`, the jobs as
    /// `sentinel classify --json` tells them. Run with `--ignored --nocapture`.
    #[test]
    #[ignore = "needs the logs, which are not in the repository"]
    fn failures_of_one_cause_share_a_key_and_others_do_not() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a check by hand, of files that are not in the repository"
        )]
        let path = std::env::var("SENTINEL_VERDICTS").unwrap();
        let pairs = include_str!("../../../training/labels/same_cause.jsonl");
        let pairs: Vec<Pair> = pairs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut causes = HashMap::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let told: Told = serde_json::from_str(line).unwrap();
            for job in told.jobs {
                let Some(class) = job.top.first() else { continue };
                let verdict = verdict(class.class, job.line.as_ref().map_or("", |line| &line.text));
                let id = Job { blob: told.blob.clone(), job: job.job };
                causes.insert(id, Cause::of(&verdict, &job.facts));
            }
        }
        let (mut right, mut wrong, mut missed) = (0, 0, 0);
        for pair in &pairs {
            let (a, b) = (&causes[&pair.a], &causes[&pair.b]);
            match (a.key == b.key, pair.same) {
                (true, true) => right += 1,
                (true, false) => wrong += 1,
                (false, true) => missed += 1,
                (false, false) => continue,
            }
            if (a.key == b.key) != pair.same {
                println!(
                    "same: {} {}\n  {} {:?}\n  {} {:?}",
                    pair.same, pair.repo, a.line, a.tests, b.line, b.tests
                );
            }
        }
        let (precision, recall) = (share(right, wrong), share(right, missed));
        println!("{} pairs, precision {precision:.3}, recall {recall:.3}", pairs.len());
        assert!(precision >= 0.95 && recall >= 0.80);
    }

    fn share(right: u32, others: u32) -> f64 {
        f64::from(right) / f64::from((right + others).max(1))
    }
}
