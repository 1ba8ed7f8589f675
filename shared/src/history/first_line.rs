//! The few short sentences that a developer reads first.

use super::change::{Change, Relation};
use super::fault::Fault;
use super::quote::quoted;
use super::standing::{NOT_YOURS, Standing, StandingLine};
use crate::facts::Facts;
use crate::failure::FailureClass;
use crate::kind::FailureKind;

/// The longest line of a log that is quoted, in characters: a line of a terminal.
const QUOTE_CHARS: usize = 120;

/// All that is known of one failure.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// The class.
    pub class: FailureClass,
    /// Whether the class was not certain enough to be a verdict.
    pub is_probable: bool,
    /// What it is called within its class.
    pub kind: Option<FailureKind>,
    /// The deciding line, or empty.
    pub line: &'a str,
    /// What its log states.
    pub facts: &'a Facts,
    /// What to do.
    pub advice: &'a str,
    /// Who should act.
    pub fault: Fault,
    /// How it is related to the change of its pull request.
    pub change: Option<&'a Change>,
    /// What its past says, the most useful first.
    pub standing: &'a [StandingLine],
}

/// What broke, whether it is the reader's change, whether it happened before, and what to do, in this order. Names stand
/// between backticks.
///
/// Where the default branch already fails and the change adds the line, both are told, the branch first.
#[must_use]
pub fn first_line(telling: &Telling<'_>) -> String {
    let Telling { class, is_probable, kind, line, facts, advice, fault, change, standing } = telling;
    let name = kind.map_or(class.name(), |kind| kind.words());
    let name = if *is_probable { format!("probably {name}") } else { name.to_owned() };
    let broke = format!("{}{}.", capital(&name), what_broke(line, facts));
    let past = standing.first();
    let fails_on_main = past.is_some_and(|past| past.standing == Standing::FailingOnMain);
    let is_added = change.is_some_and(|change| change.relation == Relation::AddedLine);
    let past = past.map(|past| beside(past, *change)).unwrap_or_default();
    let change = change.map(|change| change.sentence.as_str()).unwrap_or_default();
    let both = if fails_on_main && is_added {
        // It is told with the branch.
        [past.as_str(), ""]
    } else {
        [change, past.as_str()]
    };
    let platform = "Not your code: what it runs on failed.";
    let platform = if *fault == Fault::Platform && !fails_on_main && !is_added { platform } else { "" };
    let parts = [broke.as_str(), both[0], both[1], platform, advice];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The sentences about the past of a failure beside its relation to a change. They stay as they are, unless they say that it
/// is probably not the change and the change adds the line.
#[must_use]
pub fn standing_beside(standing: Vec<StandingLine>, change: Option<&Change>) -> Vec<StandingLine> {
    standing.into_iter().map(|line| StandingLine { sentence: beside(&line, change), ..line }).collect()
}

fn beside(past: &StandingLine, change: Option<&Change>) -> String {
    let added = change.filter(|change| change.relation == Relation::AddedLine);
    match (past.sentence.strip_suffix(NOT_YOURS), added) {
        (Some(fact), Some(Change { sentence, .. })) => {
            format!("{fact}. But {}: look at both.", sentence.trim_end_matches('.'))
        }
        _ => past.sentence.clone(),
    }
}

fn what_broke(line: &str, facts: &Facts) -> String {
    let line = line.strip_prefix("##[error]").unwrap_or(line).trim();
    match (facts.failing_tests.as_slice(), line) {
        ([], "") => String::new(),
        ([], line) => format!(": {}", quoted(line, QUOTE_CHARS)),
        ([test], _) if facts.failing_tests_total <= 1 => {
            format!(": {} fails", quoted(&test.name, QUOTE_CHARS))
        }
        ([test, ..], _) => {
            let first = quoted(&test.name, QUOTE_CHARS);
            format!(": {} tests fail, the first is {first}", facts.failing_tests_total)
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{FailingTest, Tool};

    /// What is told of a failure of this kind with this line, these failing tests, change and past.
    fn told(kind: FailureKind, line: &str, tests: &[&str], change: Option<&Change>, past: &[&str]) -> String {
        let test = |name: &&str| FailingTest { name: (*name).to_owned(), tool: Tool::Pytest };
        let facts = Facts {
            failing_tests: tests.iter().map(test).collect(),
            failing_tests_total: tests.len() as u32,
            ..Facts::default()
        };
        let standing: Vec<StandingLine> = past.iter().map(|sentence| line_of(sentence)).collect();
        first_line(&Telling {
            class: kind.class(),
            is_probable: kind.class() == FailureClass::Timeout,
            kind: Some(kind),
            line,
            facts: &facts,
            advice: "Do it.",
            fault: Fault::of(kind.class(), Some(kind), line),
            change,
            standing: &standing,
        })
    }

    fn line_of(sentence: &str) -> StandingLine {
        let is_main = sentence.starts_with("Already failing");
        let standing = if is_main { Standing::FailingOnMain } else { Standing::SeenBefore };
        StandingLine { standing, sentence: sentence.to_owned(), count: 3, of: None }
    }

    fn change(relation: Relation) -> Change {
        let sentence = match relation {
            Relation::AddedLine => "`src/load.ts:42` is a line this change adds.",
            Relation::TouchedFile => "`src/load.ts` is a file this change touches.",
            Relation::Elsewhere => "None of the places is in a file this change touches.",
        };
        Change { relation, path: None, line: None, sentence: sentence.to_owned() }
    }

    const ON_MAIN: &str =
        "Already failing on `main` since 1a2b3c4 (2 h ago), 3 times: probably not your change.";
    const BEFORE: &str = "Seen 3 times since 3 March.";

    #[test]
    fn it_says_what_broke_and_what_to_do() {
        assert_eq!(
            told(FailureKind::UnitTest, "E  assert 1", &["t/a.py::x", "t/a.py::y"], None, &[ON_MAIN]),
            "Unit test: 2 tests fail, the first is `t/a.py::x`. Already failing on `main` since 1a2b3c4 (2 h ago), 3 times: \
             probably not your change. Do it."
        );
        assert_eq!(
            told(FailureKind::UnitTest, "x", &["t/a.py::x"], None, &[]),
            "Unit test: `t/a.py::x` fails. Do it."
        );
        assert_eq!(
            told(FailureKind::Dns, "##[error]getaddrinfo EAI_AGAIN `host`", &[], None, &[]),
            "DNS: `getaddrinfo EAI_AGAIN 'host'`. Not your code: what it runs on failed. Do it."
        );
    }

    #[test]
    fn the_relation_to_the_change_comes_before_the_past() {
        let of = |relation, past| {
            told(FailureKind::UnitTest, "", &["t/a.py::x"], Some(&change(relation)), &[past])
        };
        assert_eq!(
            of(Relation::AddedLine, BEFORE),
            "Unit test: `t/a.py::x` fails. `src/load.ts:42` is a line this change adds. Seen 3 times since 3 March. Do it."
        );
        assert_eq!(
            of(Relation::Elsewhere, ON_MAIN),
            "Unit test: `t/a.py::x` fails. None of the places is in a file this change touches. Already failing on `main` \
             since 1a2b3c4 (2 h ago), 3 times: probably not your change. Do it."
        );
    }

    #[test]
    fn what_the_change_adds_is_not_told_to_be_probably_no_fault_of_it() {
        let added = change(Relation::AddedLine);
        let both = "Already failing on `main` since 1a2b3c4 (2 h ago), 3 times. But `src/load.ts:42` is a line this change \
                    adds: look at both.";
        let told = |kind, line, past: &[&str]| told(kind, line, &[], Some(&added), past);
        assert_eq!(told(FailureKind::Compile, "", &[ON_MAIN]), format!("Compile error. {both} Do it."));
        // A connection that the added line opens may be wrong itself.
        assert_eq!(
            told(FailureKind::Dns, "getaddrinfo ENOTFOUND x", &[]),
            "DNS: `getaddrinfo ENOTFOUND x`. `src/load.ts:42` is a line this change adds. Do it."
        );
        let beside = |change: Option<&Change>| {
            let lines = standing_beside(vec![line_of(ON_MAIN), line_of(BEFORE)], change);
            lines.into_iter().map(|line| line.sentence).collect::<Vec<_>>()
        };
        assert_eq!(beside(Some(&added)), [both, BEFORE]);
        let touched = change(Relation::TouchedFile);
        assert_eq!(beside(Some(&touched)), [ON_MAIN, BEFORE]);
        assert_eq!(beside(None), [ON_MAIN, BEFORE]);
        assert!(ON_MAIN.ends_with(NOT_YOURS));
    }

    #[test]
    fn a_verdict_under_its_threshold_is_told_as_probable_and_a_long_line_is_cut() {
        let line = "x".repeat(400);
        let told = told(FailureKind::JobLimit, &line, &[], None, &[]);
        assert_eq!(told, format!("Probably job time limit: `{}…`. Do it.", &line[..QUOTE_CHARS]));
    }
}
