//! A verdict as a person reads it. Colours only where standard output is a terminal that shows them (`NO_COLOR`,
//! `CLICOLOR`, `CLICOLOR_FORCE`).

use crate::cli::print::Stdout;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use sentinel_shared::artifact::JobVerdict;
use sentinel_shared::classifier::{Prediction, Verdict, words};
use sentinel_shared::facts::Place;
use sentinel_shared::text::printed;
use std::io::{self, Write};

/// The largest number of characters of a line that are shown. A line of an excerpt may have 400, which is five screens
/// wide.
const SHOWN_CHARS: usize = 200;

/// The number of reasons that are told. Programs get all.
const REASONS: usize = 3;

/// The number of failing tests and of places that are told. Programs get more.
const FACTS: usize = 3;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();

/// Writes reports to standard output.
pub(super) struct Report {
    out: AutoStream<Box<dyn Write>>,
    any: bool,
}

impl Report {
    pub(super) fn new() -> Self {
        // Whether it is a terminal is asked of standard output itself, not of our way to write to it.
        let choice = match AutoStream::choice(&io::stdout()) {
            ColorChoice::Never => ColorChoice::Never,
            _ => ColorChoice::AlwaysAnsi,
        };
        Self { out: AutoStream::new(Box::new(Stdout::lock()), choice), any: false }
    }

    /// Tells one job.
    pub(super) fn job(&mut self, job: &JobVerdict) -> io::Result<()> {
        if self.any {
            writeln!(self.out)?;
        }
        self.any = true;
        let place: Vec<_> = [&job.job, &job.step].into_iter().flatten().map(|name| printed(name)).collect();
        if !place.is_empty() {
            writeln!(self.out, "{BOLD}{}{BOLD:#}", place.join(" / "))?;
        }
        let Some(verdict) = &job.verdict else {
            return writeln!(self.out, "{GREEN}No failure found{GREEN:#}");
        };
        writeln!(self.out, "{RED}{}{RED:#}", certainty(&verdict.prediction))?;
        self.line(job, verdict)?;
        self.facts(job)?;
        self.next_step(job)?;
        self.reasons(job, verdict)
    }

    /// The deciding line and those around it.
    fn line(&mut self, job: &JobVerdict, verdict: &Verdict) -> io::Result<()> {
        let Some(deciding) = &verdict.explanation.line else { return Ok(()) };
        let around = job.around();
        let width = around.last().map_or(0, |line| line.number).to_string().len();
        for line in &around {
            let text = shortened(&as_shown_by_github(&line.text));
            let text = printed(&text);
            if line.number == deciding.number {
                writeln!(self.out, "{RED}>{RED:#} {:>width$} | {BOLD}{text}{BOLD:#}", line.number)?;
            } else {
                writeln!(self.out, "  {DIM}{:>width$} | {text}{DIM:#}", line.number)?;
            }
        }
        Ok(())
    }

    /// The failing tests and the places in the code.
    fn facts(&mut self, job: &JobVerdict) -> io::Result<()> {
        let facts = &job.excerpt.facts;
        if facts.failing_tests_total > 0 {
            let names: Vec<_> =
                facts.failing_tests.iter().map(|test| printed(&test.name)).take(FACTS).collect();
            writeln!(self.out, "  {} failing: {}", tests(facts.failing_tests_total), names.join(", "))?;
        }
        let place = |place: &Place| match place.column {
            Some(column) => format!("{}:{}:{column}", place.path, place.line),
            None => format!("{}:{}", place.path, place.line),
        };
        let places: Vec<_> = facts.places.iter().take(FACTS).map(place).collect();
        if !places.is_empty() {
            writeln!(self.out, "  at {}", printed(&places.join(", ")))?;
        }
        Ok(())
    }

    fn next_step(&mut self, job: &JobVerdict) -> io::Result<()> {
        let Some(next) = &job.next else { return Ok(()) };
        let kind = next.kind.map(|kind| format!("{}: ", kind.words())).unwrap_or_default();
        writeln!(self.out, "  next: {kind}{} {DIM}{}{DIM:#}", next.advice, next.docs)
    }

    fn reasons(&mut self, job: &JobVerdict, verdict: &Verdict) -> io::Result<()> {
        let mut reasons: Vec<String> = Vec::new();
        for term in &verdict.explanation.terms {
            let told = words(&term.term, &job.excerpt);
            // The same in an error line and elsewhere is one reason.
            let is_told = |reason: &String| bare(reason) == bare(&told);
            if reasons.len() < REASONS && !reasons.iter().any(is_told) {
                reasons.push(told);
            }
        }
        if !reasons.is_empty() {
            writeln!(self.out, "  because of {}", printed(&reasons.join("; ")))?;
        }
        let others = verdict.prediction.top(3);
        let others = others.iter().skip(1).map(|(class, p)| format!("{} {:.0} %", class.name(), p * 100.0));
        writeln!(self.out, "  {DIM}else {}{DIM:#}", others.collect::<Vec<_>>().join(", "))
    }
}

fn tests(count: u32) -> String {
    if count == 1 { "1 test".to_owned() } else { format!("{count} tests") }
}

/// Below the threshold it is a guess, and said to be one.
fn certainty(prediction: &Prediction) -> String {
    let (class, percent) = (prediction.class.name(), prediction.confidence * 100.0);
    if prediction.abstained {
        format!("Probably {class} ({percent:.0} %)")
    } else {
        format!("{class} ({percent:.0} % sure)")
    }
}

/// A reason without the place where the word stands.
fn bare(reason: &str) -> &str {
    let reason = reason.strip_suffix(" in an error line").unwrap_or(reason);
    let reason = reason.strip_suffix(" in the deciding line").unwrap_or(reason);
    reason.strip_suffix(" in the log").unwrap_or(reason)
}

/// GitHub shows its marks as words, or not at all.
fn as_shown_by_github(text: &str) -> String {
    let marks = [
        ("##[error]", "Error: "),
        ("##[warning]", "Warning: "),
        ("##[notice]", "Notice: "),
        ("##[group]", ""),
    ];
    for (mark, word) in marks {
        if let Some(rest) = text.strip_prefix(mark) {
            return format!("{word}{rest}");
        }
    }
    text.to_owned()
}

fn shortened(text: &str) -> String {
    let text = text.trim_end();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
