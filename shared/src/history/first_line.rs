//! The one sentence, or three short ones, that a developer reads first.

use super::fault::Fault;
use super::standing::{Standing, StandingLine};
use crate::classifier::Verdict;
use crate::facts::Facts;
use crate::kind::NextStep;

/// The longest line of a log that is quoted, in characters: a line of a terminal.
const QUOTE_CHARS: usize = 120;

/// All that is known of one failure.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// The verdict on it.
    pub verdict: &'a Verdict,
    /// What its log states.
    pub facts: &'a Facts,
    /// What it is called, and what to do.
    pub next: &'a NextStep,
    /// Who should act.
    pub fault: Fault,
    /// What its past says, the most useful first.
    pub standing: &'a [StandingLine],
}

/// What broke, whether it is the reader's change, and what to do, in this order. Names stand between backticks.
#[must_use]
pub fn first_line(telling: &Telling<'_>) -> String {
    let Telling { verdict, facts, next, fault, standing } = telling;
    let class = verdict.prediction.class.name();
    let name = next.kind.map_or(class, |kind| kind.words());
    let name = if verdict.prediction.abstained { format!("probably {name}") } else { name.to_owned() };
    let mut text = format!("{}{}.", capital(&name), what_broke(verdict, facts));
    let past = standing.first();
    if let Some(past) = past {
        text.push(' ');
        text.push_str(&past.sentence);
    }
    let is_told = past.is_some_and(|past| past.standing == Standing::FailingOnMain);
    if *fault == Fault::Platform && !is_told {
        text.push_str(" Not your code: what it runs on failed.");
    }
    text.push(' ');
    text.push_str(&next.advice);
    text
}

fn what_broke(verdict: &Verdict, facts: &Facts) -> String {
    let line = verdict.explanation.line.as_ref().map_or("", |line| line.text.as_str());
    let line = line.strip_prefix("##[error]").unwrap_or(line).trim();
    match (facts.failing_tests.as_slice(), line) {
        ([], "") => String::new(),
        ([], line) => format!(": {}", quoted(line)),
        ([test], _) if facts.failing_tests_total <= 1 => format!(": {} fails", quoted(&test.name)),
        ([test, ..], _) => {
            format!(": {} tests fail, the first is {}", facts.failing_tests_total, quoted(&test.name))
        }
    }
}

/// The beginning of `text` between backticks, which it cannot leave.
fn quoted(text: &str) -> String {
    let mut chars = text.chars().map(|char| if char == '`' { '\'' } else { char });
    let start: String = chars.by_ref().take(QUOTE_CHARS).collect();
    let rest = if chars.next().is_some() { "…" } else { "" };
    format!("`{}{rest}`", start.trim_end())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Explanation, Prediction};
    use crate::excerpt::Line;
    use crate::facts::{FailingTest, Tool};
    use crate::failure::FailureClass;
    use crate::features::Telemetry;
    use crate::kind::FailureKind;

    fn told(kind: FailureKind, line: &str, tests: &[&str], standing: &[StandingLine]) -> String {
        let verdict = Verdict {
            prediction: Prediction {
                probabilities: [0.1; 10],
                class: kind.class(),
                confidence: 0.9,
                abstained: kind.class() == FailureClass::Timeout,
            },
            explanation: Explanation {
                terms: Vec::new(),
                line: Some(Line { number: 7, text: line.to_owned() }),
            },
            telemetry: Telemetry::default(),
        };
        let test = |name: &&str| FailingTest { name: (*name).to_owned(), tool: Tool::Pytest };
        let facts = Facts {
            failing_tests: tests.iter().map(test).collect(),
            failing_tests_total: tests.len() as u32,
            ..Facts::default()
        };
        let next = NextStep { kind: Some(kind), advice: "Do it.".to_owned(), docs: String::new() };
        let fault = Fault::of(kind.class(), Some(kind), line);
        first_line(&Telling { verdict: &verdict, facts: &facts, next: &next, fault, standing })
    }

    #[test]
    fn it_says_what_broke_whose_change_it_is_and_what_to_do() {
        let red = StandingLine {
            standing: Standing::FailingOnMain,
            sentence: "Already failing on `main` since 1a2b3c4 (2 h ago), 3 times: probably not your change."
                .to_owned(),
            count: 3,
            of: None,
        };
        assert_eq!(
            told(
                FailureKind::UnitTest,
                "E  assert 1",
                &["t/a.py::x", "t/a.py::y"],
                std::slice::from_ref(&red)
            ),
            "Unit test: 2 tests fail, the first is `t/a.py::x`. Already failing on `main` since 1a2b3c4 (2 h ago), 3 times: \
             probably not your change. Do it."
        );
        assert_eq!(
            told(FailureKind::UnitTest, "x", &["t/a.py::x"], &[]),
            "Unit test: `t/a.py::x` fails. Do it."
        );
        assert_eq!(
            told(FailureKind::Dns, "##[error]getaddrinfo EAI_AGAIN `host`", &[], &[]),
            "DNS: `getaddrinfo EAI_AGAIN 'host'`. Not your code: what it runs on failed. Do it."
        );
    }

    #[test]
    fn a_verdict_under_its_threshold_is_told_as_probable_and_a_long_line_is_cut() {
        let line = "x".repeat(400);
        let told = told(FailureKind::JobLimit, &line, &[], &[]);
        assert_eq!(told, format!("Probably job time limit: `{}…`. Do it.", &line[..QUOTE_CHARS]));
    }
}
