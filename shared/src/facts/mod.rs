//! Facts that the lines of a failed step state in a known form: which tests failed, where in the code, with which exit
//! code, and what was missing.
//!
//! # In scope
//!
//! Each form is a tool's own, and is named beside its grammar: `runners` has the test runners, a file for each family;
//! `places` and `frames` have compilers, linters and stack traces; `numbers` and `missing` the rest; `paths` makes paths
//! relative to the repository. `marks` is the cheap look at each line that chooses the grammars for it.
//!
//! # Out of scope
//!
//! Reading a log: the lines come without timestamps, colours and carriage returns, and of the failed step alone. Judging:
//! nothing here says what a fact means for the class of a failure.
//!
//! Everything is bounded: how much of a line is read, how many facts are kept, how long each is. What is told passed
//! [`crate::redact`] and [`crate::text`].

mod found;
mod frames;
mod labels;
mod line;
mod marks;
mod missing;
mod numbers;
mod paths;
mod places;
mod runners;
#[cfg(test)]
mod tests;

pub use found::{
    Facts, FailingTest, MISSING_MAX, Missing, PLACES_MAX, Place, PlaceKind, TESTS_MAX, TEXT_MAX, Tool, What,
};

pub(crate) use found::test_name;
use found::{MissingThings, Places, Tests};
use line::Line;
use marks::{Family, MARKS};
use numbers::Numbers;
use places::Compilers;
use runners::Runners;

/// Finds facts in lines, one after another. Its memory is bounded whatever is pushed.
#[derive(Debug, Default)]
pub struct FactFinder {
    runners: Runners,
    compilers: Compilers,
    numbers: Numbers,
    tests: Tests,
    places: Places,
    missing: MissingThings,
    /// Whether the part that tells the failing tests was reached.
    tells_failures: bool,
    /// The families that want the next line, whatever its marks.
    open: u32,
}

// === impl FactFinder ===

impl FactFinder {
    /// A finder that has seen no line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a line, without its timestamp, its colours and its line break.
    pub fn push(&mut self, line: &str) {
        let line = Line::of(line);
        if line.trimmed.is_empty() {
            return;
        }
        self.compilers.heed_header(line);
        if !self.tells_failures && line.heads_failures() {
            // What passing tests print before may look like a failure.
            self.tells_failures = true;
            self.places.forget();
        }
        let wanted = MARKS.of(line.trimmed) | self.open;
        if wanted == 0 {
            return;
        }
        self.runners.read(wanted, line, &mut self.tests);
        let of_places = wanted & (Family::Places.bit() | Family::Positions.bit());
        if of_places != 0 && !self.places.is_full() {
            self.compilers.read(line, wanted & Family::Positions.bit() != 0, &mut self.places);
        }
        let wants_frames = wanted & Family::Frames.bit() != 0 && !self.places.has_all_frames();
        if wants_frames && self.compilers.heeds_frames() {
            frames::read(line, &mut self.compilers, &mut self.places);
        }
        if wanted & Family::Numbers.bit() != 0 {
            self.numbers.read(line);
        }
        if wanted & Family::Missing.bit() != 0 {
            missing::read(line, &mut self.missing);
        }
        self.open = self.runners.open();
        if self.compilers.is_open() {
            self.open |= Family::Places.bit();
        }
    }

    /// What the lines said.
    #[must_use]
    pub fn finish(self) -> Facts {
        let (failing_tests, failing_tests_total) = self.tests.finish();
        Facts {
            failing_tests,
            failing_tests_total,
            places: self.places.finish(),
            exit_code: self.numbers.exit_code(),
            signal: self.numbers.signal().map(str::to_owned),
            http_status: self.numbers.http_status,
            missing: self.missing.finish(),
            limit_seconds: self.numbers.limit_seconds,
            took_seconds: self.numbers.took_seconds,
        }
    }
}

// === impl FailingTest ===

impl FailingTest {
    /// The file of the test, where its name begins with it, as those of pytest, Vitest, Jest, Playwright and Dart do. The path
    /// is relative to the repository where the log allows that.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        // Playwright: `[chromium] › tests/cart.spec.ts:9:5 › cart › adds up`
        let mut parts = self.name.split(" › ").map(str::trim);
        let first = parts.find(|part| !(part.starts_with('[') && part.ends_with(']')))?;
        let end = ["::", " > ", ": "].iter().filter_map(|separator| first.find(separator)).min();
        let file = &first[..end.unwrap_or(first.len())];
        paths::of_error(file.trim_end_matches(|char: char| char.is_ascii_digit() || char == ':'))
    }
}

// === impl Facts ===

impl Facts {
    /// The facts in some lines.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut finder = FactFinder::new();
        lines.into_iter().for_each(|line| finder.push(line));
        finder.finish()
    }
}
