//! What is found in the lines of a step, and its bounds.

use crate::redact::redact;
use crate::text;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The largest number of failing tests that are named. A person reads no more, and the total says how many there are.
pub const TESTS_MAX: usize = 50;
/// The largest number of places. A compiler's first errors cause its later ones.
pub const PLACES_MAX: usize = 20;
/// The largest number of missing things.
pub const MISSING_MAX: usize = 20;
/// The longest name, path or message, in characters.
pub const TEXT_MAX: usize = 200;

/// The length at which a text is kept until secrets are removed from it. It is longer than [`TEXT_MAX`], so that a secret
/// is seen whole.
const KEPT_BYTES: usize = 600;
/// From this many distinct names of one tool on, further names are not counted. Summaries say how many there are.
const DISTINCT_MAX: usize = 4096;

/// What the lines of a failed step say, beside the class of the failure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The tests that failed, in order, at most [`TESTS_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing_tests: Vec<FailingTest>,
    /// How many tests failed in all: what the tools' summaries say, or else the number of distinct names.
    #[serde(skip_serializing_if = "is_zero")]
    pub failing_tests_total: u32,
    /// Places in the repository, at most [`PLACES_MAX`]: first those of errors, then the innermost stack frames of
    /// exceptions, with what was thrown, then other frames; each in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// The exit code of the step, or else the last one that a program in it reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended a program, for example `SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The last HTTP status from 400 on that a client reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What was looked for and not there, in order, at most [`MISSING_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// The limit of a timeout, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<f64>,
    /// How long something took that timed out, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_seconds: Option<f64>,
}

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingTest {
    /// The name as its tool writes it, at most [`TEXT_MAX`] characters.
    pub name: String,
    /// The tool that reported it.
    pub tool: Tool,
}

/// A test runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is the name of a tool")]
pub enum Tool {
    Pytest,
    Unittest,
    Jest,
    Vitest,
    Mocha,
    Cypress,
    NodeTest,
    Tap,
    Bun,
    Playwright,
    Go,
    Cargo,
    Nextest,
    Surefire,
    Gradle,
    Scalatest,
    Dotnet,
    Nunit,
    Rspec,
    Minitest,
    Phpunit,
    Pest,
    Ctest,
    Gtest,
    Catch2,
    Dart,
    Xctest,
    SwiftTesting,
    Exunit,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The path, relative to the repository where the log allows that. Frames of Java name a package instead of a folder:
    /// theirs is `org/example/App.java`.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, as the tool counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What the tool says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it is an error's own place or a stack frame.
    pub kind: PlaceKind,
}

/// Why a place is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceKind {
    /// A compiler, linter or assertion reports an error there.
    Error,
    /// A stack trace passes there.
    Frame,
}

/// Something that was looked for and not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its kind.
    pub what: What,
    /// Its name, at most [`TEXT_MAX`] characters.
    pub name: String,
}

/// The kind of a missing thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A package or an action of a registry.
    Package,
    /// A file or a folder.
    File,
    /// A program or a script.
    Command,
    /// A secret, or an input that holds one.
    Secret,
    /// A right.
    Permission,
    /// A module that the code imports.
    Module,
    /// A variable of the environment, or an input.
    Variable,
}

/// How much a line tells about a failing test. Of each tool, only the names of its strongest lines are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A heading, often with a shortened name.
    Heading,
    /// A line of progress.
    Progress,
    /// A report of failures, or the only line that the tool writes.
    Report,
}

/// The failing tests, while lines are read.
#[derive(Debug, Default)]
pub(super) struct Tests {
    tools: Vec<OfTool>,
    names: u32,
}

#[derive(Debug)]
struct OfTool {
    tool: Tool,
    source: Source,
    /// The first names, with their place in the order of all names.
    names: Vec<(u32, String)>,
    distinct: HashSet<u64>,
    /// The sum of the summaries.
    summaries: u32,
    run: Run,
}

/// What happened since the last summary of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// No name was reported.
    Silent,
    /// Only names that were known: the same run once more.
    Repeated,
    /// A name that was not known.
    New,
}

/// The places, while lines are read.
#[derive(Debug, Default)]
pub(super) struct Places {
    errors: Vec<Place>,
    /// The innermost frames of exceptions, with what was thrown.
    thrown: Vec<Place>,
    frames: Vec<Place>,
}

/// The missing things, while lines are read.
#[derive(Debug, Default)]
pub(super) struct MissingThings(Vec<Missing>);

// === impl Tests ===

impl Tests {
    /// Notes a failing test.
    pub(super) fn add(&mut self, tool: Tool, source: Source, name: &str) {
        let name = name.trim();
        if name.is_empty() {
            return;
        }
        self.names += 1;
        let order = self.names;
        let known = self.of_tool(tool);
        if source < known.source {
            return;
        }
        if source > known.source {
            known.source = source;
            known.names.clear();
            known.distinct.clear();
        }
        if known.distinct.len() >= DISTINCT_MAX || !known.distinct.insert(hash(name)) {
            known.run = if known.run == Run::New { Run::New } else { Run::Repeated };
            return;
        }
        known.run = Run::New;
        if known.names.len() < TESTS_MAX {
            known.names.push((order, kept(name)));
        }
    }

    /// Takes back a test: it passed in the end, or it failed only because of another.
    pub(super) fn forget(&mut self, tool: Tool, name: &str) {
        let name = name.trim();
        if let Some(known) = self.tools.iter_mut().find(|known| known.tool == tool)
            && known.distinct.remove(&hash(name))
        {
            let name = kept(name);
            known.names.retain(|(_, other)| *other != name);
        }
    }

    /// Notes the number of failures that a summary tells. A run that repeats only known failures is not counted again.
    pub(super) fn summary(&mut self, tool: Tool, failures: u32) {
        let known = self.of_tool(tool);
        if known.run != Run::Repeated {
            known.summaries = known.summaries.saturating_add(failures);
        }
        known.run = Run::Silent;
    }

    /// The same for a tool that repeats its summary for each level of its suites: the largest number counts.
    pub(super) fn summary_of_level(&mut self, tool: Tool, failures: u32) {
        let known = self.of_tool(tool);
        known.summaries = known.summaries.max(failures);
    }

    fn of_tool(&mut self, tool: Tool) -> &mut OfTool {
        let at = self.tools.iter().position(|known| known.tool == tool).unwrap_or(self.tools.len());
        if at == self.tools.len() {
            self.tools.push(OfTool {
                tool,
                source: Source::Heading,
                names: Vec::new(),
                distinct: HashSet::new(),
                summaries: 0,
                run: Run::Silent,
            });
        }
        &mut self.tools[at]
    }

    /// The tests in order, and how many there are in all. What CTest calls a test is often a program with tests of Google
    /// Test or Catch2: if those tell at least as many failures, they are told instead.
    pub(super) fn finish(mut self) -> (Vec<FailingTest>, u32) {
        let failed = |known: &OfTool| known.summaries.max(known.distinct.len() as u32);
        let of = |tools: &[OfTool], is_meant: fn(Tool) -> bool| {
            tools.iter().filter(|known| is_meant(known.tool)).map(failed).fold(0, u32::saturating_add)
        };
        let inside = of(&self.tools, |tool| matches!(tool, Tool::Gtest | Tool::Catch2));
        if inside > 0 && inside >= of(&self.tools, |tool| tool == Tool::Ctest) {
            self.tools.retain(|known| known.tool != Tool::Ctest);
        }
        let total = of(&self.tools, |_| true);
        let mut named: Vec<(u32, Tool, String)> = Vec::new();
        for known in self.tools {
            named.extend(known.names.into_iter().map(|(order, name)| (order, known.tool, name)));
        }
        named.sort_unstable_by_key(|(order, ..)| *order);
        named.truncate(TESTS_MAX);
        let mut tests: Vec<FailingTest> = Vec::with_capacity(named.len());
        for (_, tool, name) in named {
            let test = FailingTest { name: shown(&name), tool };
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
        let total = total.max(tests.len() as u32);
        (tests, total)
    }
}

// === impl Places ===

impl Places {
    /// Whether no frame is taken any more.
    pub(super) fn has_all_frames(&self) -> bool {
        self.thrown.len() >= PLACES_MAX && self.frames.len() >= PLACES_MAX
    }

    /// Forgets every place.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether no place is taken any more.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= PLACES_MAX && self.has_all_frames()
    }

    /// Notes a place. The same place again only brings its message, if that was missing.
    pub(super) fn add(&mut self, place: Place) {
        let places = match place.kind {
            PlaceKind::Error => &mut self.errors,
            PlaceKind::Frame if place.message.is_some() => &mut self.thrown,
            PlaceKind::Frame => &mut self.frames,
        };
        if let Some(known) = places.iter_mut().find(|known| known.is_at(&place)) {
            known.message = known.message.take().or(place.message);
        } else if places.len() < PLACES_MAX {
            places.push(place);
        }
    }

    /// Gives the last error a message, if it has none.
    pub(super) fn explain_last(&mut self, message: &str) {
        if let Some(place) = self.errors.last_mut()
            && place.message.is_none()
        {
            place.message = Some(kept(message));
        }
    }

    /// The places: errors first, then the frames that threw. A frame on the line of an error is left out.
    pub(super) fn finish(self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for mut place in self.errors.into_iter().chain(self.thrown).chain(self.frames) {
            place.path = shown(&place.path);
            place.message =
                place.message.map(|message| shown(&message)).filter(|message| !message.is_empty());
            let is_told = |known: &Place| {
                known.is_at(&place)
                    || known.path == place.path
                        && known.line == place.line
                        && (known.kind, place.kind) == (PlaceKind::Error, PlaceKind::Frame)
            };
            if places.len() < PLACES_MAX && !places.iter().any(is_told) {
                places.push(place);
            }
        }
        places
    }
}

impl Place {
    fn is_at(&self, other: &Self) -> bool {
        self.line == other.line && self.column == other.column && self.path == other.path
    }
}

// === impl MissingThings ===

impl MissingThings {
    /// Notes a missing thing; one whose name is empty or far too long is none.
    pub(super) fn add(&mut self, what: What, name: &str) {
        let name = name.trim().trim_matches(|c: char| matches!(c, '\'' | '"' | '`' | '‘' | '’' | ',' | ';'));
        let name = name.strip_suffix('.').unwrap_or(name).trim();
        if name.is_empty() || name.len() > TEXT_MAX || self.0.len() >= MISSING_MAX {
            return;
        }
        if !self.0.iter().any(|known| known.what == what && known.name == name) {
            self.0.push(Missing { what, name: name.to_owned() });
        }
    }

    pub(super) fn finish(self) -> Vec<Missing> {
        let mut missing: Vec<Missing> = Vec::new();
        for thing in self.0 {
            let thing = Missing { name: shown(&thing.name), ..thing };
            if !missing.contains(&thing) {
                missing.push(thing);
            }
        }
        missing
    }
}

/// A test's name as [`Facts`] tells it.
pub(crate) fn test_name(name: &str) -> String {
    shown(&kept(name))
}

/// A text as it is kept until the end. A text that is cut loses its last word, which may be a part of a secret.
pub(super) fn kept(text: &str) -> String {
    let text = text.trim();
    let cut = &text[..text.floor_char_boundary(KEPT_BYTES)];
    let end =
        if cut.len() < text.len() { cut.rfind(char::is_whitespace).unwrap_or(TEXT_MAX) } else { cut.len() };
    cut[..cut.floor_char_boundary(end)].to_owned()
}

/// A text as it is told: without secrets, visible, and cut.
fn shown(text: &str) -> String {
    let redacted = redact(text);
    let visible = text::line(&redacted);
    match visible.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => visible[..end].to_owned(),
        None => visible.into_owned(),
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
