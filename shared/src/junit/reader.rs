//! Walks through the XML of a report, element by element. No tree is made of it.

use super::names::{self, Element};
use crate::{Error, Result};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::collections::hash_map::{DefaultHasher, Entry, HashMap};
use std::hash::{Hash, Hasher};
use std::mem::take;

/// The largest number of test cases of one report. More than the bytes of a report have room for, unless its names are
/// shorter than those of any runner.
pub const CASES_MAX: usize = 20_000;
/// The deepest nesting of elements. Suites are nested by folder and class, so a report of a real project needs a dozen.
pub const DEPTH_MAX: usize = 64;
/// The largest number of attributes of an element. JUnit's have ten.
pub const ATTRIBUTES_MAX: usize = 64;

/// The longest time that a test may take: what is more is no time. GitHub ends a job after five days.
const SECONDS_MAX: f64 = 5.0 * 86_400.0;

const NO_DTD: &str = "a document type is refused, for its entities could make a small report enormous; write the report without <!DOCTYPE";
const NO_ENTITY: &str = "is no entity of XML itself, and others are refused; write the character itself";

/// How a test ended. The worst of several is the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did not run.
    Skipped,
    /// It passed at once.
    Passed,
    /// It failed, was tried again in the same run, and passed.
    PassedOnRetry,
    /// It failed, and passed in no other try.
    Failed,
}

/// What is wrong with an element, or what is right in it.
type Checked<T> = std::result::Result<T, String>;

/// A test case with the name that its tool gives it in a log.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) seconds: f64,
}

/// What is open where the reader stands.
#[derive(Default)]
struct Walk {
    depth: usize,
    /// The last `<testsuites>`.
    root: Element,
    /// The open `<testsuite>`s, with a number of their own and the depth of each.
    suites: Vec<(usize, usize, Element)>,
    suites_seen: usize,
    /// The open `<testcase>` and its depth.
    case: Option<(usize, OpenCase)>,
    is_report: bool,
    cases: Vec<Case>,
    /// Where in `cases` a test of a suite is.
    known: HashMap<u64, usize>,
    /// Whether `cases` are those of Go's tests, which fail because of their subtests.
    is_go: bool,
}

#[derive(Default)]
struct OpenCase {
    element: Element,
    has_failed: bool,
    was_retried: bool,
    is_skipped: bool,
}

/// The test cases of a report, those of one suite with the same name taken together.
pub(super) fn cases(bytes: &[u8]) -> Result<Vec<Case>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        invalid(line_at(bytes, error.valid_up_to()), "is not in UTF-8; write the report in UTF-8")
    })?;
    let mut reader = Reader::from_str(text);
    let mut walk = Walk::default();
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let fail = |at: usize, reason: String| invalid(line_at(bytes, at), reason);
        let event = reader.read_event().map_err(|error| {
            let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
            fail(at, format!("is no XML: {error}"))
        })?;
        match event {
            Event::Start(start) => walk.open(&start).map_err(|reason| fail(at, reason))?,
            Event::Empty(element) => {
                walk.open(&element).map_err(|reason| fail(at, reason))?;
                walk.close();
            }
            Event::End(_) => walk.close(),
            Event::DocType(_) => return Err(fail(at, NO_DTD.into())),
            Event::GeneralRef(reference) => check_reference(&reference).map_err(|reason| fail(at, reason))?,
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().and_then(|encoding| encoding.ok());
                if let Some(encoding) = encoding.filter(|name| !is_utf8(name)) {
                    let reason = format!("names the encoding {}; write the report in UTF-8", cut(&encoding));
                    return Err(fail(at, reason));
                }
            }
            Event::Eof if walk.depth > 0 => {
                return Err(fail(at, "the report breaks off before its end".into()));
            }
            Event::Eof => break,
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
    if !walk.is_report {
        return Err(invalid(1, "there is no <testsuites> or <testsuite>: this is no report of JUnit's form"));
    }
    Ok(walk.finish())
}

impl Walk {
    fn open(&mut self, start: &BytesStart<'_>) -> Checked<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("elements are nested deeper than {DEPTH_MAX}"));
        }
        // Attributes are read of every element, so that none has an entity that is refused.
        let element = Element::of(start)?;
        let name = start.local_name();
        match (name.as_ref(), &mut self.case) {
            (name, Some((depth, case))) if self.depth == *depth + 1 => case.say(name),
            (_, Some(_)) => {}
            ("testsuites", None) => {
                self.is_report = true;
                self.root = element;
            }
            ("testsuite", None) => {
                self.is_report = true;
                // Reports that follow one another have roots of their own.
                if self.depth == 1 {
                    self.root = Element::default();
                }
                self.suites_seen += 1;
                self.suites.push((self.suites_seen, self.depth, element));
            }
            ("testcase", None) if self.is_report => {
                if self.cases.len() >= CASES_MAX {
                    return Err(format!("there are more than {CASES_MAX} test cases; send several reports"));
                }
                let is_skipped = names::did_not_run(&element);
                self.case = Some((self.depth, OpenCase { element, is_skipped, ..OpenCase::default() }));
            }
            ("property", None) if element.name == "go.version" => {
                if let Some((_, _, suite)) = self.suites.last_mut() {
                    suite.is_go = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some((_, case)) = self.case.take_if(|(depth, _)| *depth == self.depth) {
            self.add(&case);
        }
        if self.suites.last().is_some_and(|(_, depth, _)| *depth == self.depth) {
            self.suites.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn add(&mut self, case: &OpenCase) {
        let no_suite = (0, 0, Element::default());
        let (number, _, suite) = self.suites.last().unwrap_or(&no_suite);
        let (name, is_go) = names::name(&self.root, suite, &case.element);
        if name.is_empty() {
            return;
        }
        self.is_go |= is_go;
        let outcome = case.outcome();
        let mut hasher = DefaultHasher::new();
        let Element { name: raw, classname, file, .. } = &case.element;
        (number, raw, classname, file).hash(&mut hasher);
        match self.known.entry(hasher.finish()) {
            Entry::Occupied(known) => {
                let before = &mut self.cases[*known.get()];
                before.outcome = tried_again(before.outcome, outcome);
                before.seconds += case.element.seconds;
            }
            Entry::Vacant(new) => {
                new.insert(self.cases.len());
                self.cases.push(Case { name, outcome, seconds: case.element.seconds });
            }
        }
    }

    fn finish(mut self) -> Vec<Case> {
        let mut cases = take(&mut self.cases);
        if self.is_go {
            forget_parents(&mut cases);
        }
        cases
    }
}

impl OpenCase {
    /// Takes the name of an element inside.
    fn say(&mut self, name: &str) {
        match name {
            "failure" | "error" => self.has_failed = true,
            "skipped" | "disabled" => self.is_skipped = true,
            "flakyFailure" | "flakyError" => self.was_retried = true,
            // `rerunFailure` follows a `failure`: it failed in all its tries.
            _ => {}
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self { has_failed: true, .. } => Outcome::Failed,
            Self { is_skipped: true, .. } => Outcome::Skipped,
            Self { was_retried: true, .. } => Outcome::PassedOnRetry,
            _ => Outcome::Passed,
        }
    }
}

/// How a test ended that ended as `before`, and then as `last`.
fn tried_again(before: Outcome, last: Outcome) -> Outcome {
    match (before, last) {
        (Outcome::Failed | Outcome::PassedOnRetry, Outcome::Passed) => Outcome::PassedOnRetry,
        (before, Outcome::Skipped) => before,
        (_, last) => last,
    }
}

/// Leaves out tests of Go that failed because a subtest did, as the log's reader does.
fn forget_parents(cases: &mut Vec<Case>) {
    let has_failed = |case: &&Case| case.outcome == Outcome::Failed;
    let parents: HashSet<String> = cases
        .iter()
        .filter(has_failed)
        .filter_map(|case| case.name.rsplit_once('/').map(|(parent, _)| parent.to_owned()))
        .collect();
    cases.retain(|case| case.outcome != Outcome::Failed || !parents.contains(&case.name));
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Checked<Self> {
        let mut element = Self::default();
        let mut attributes = start.attributes();
        // Looking for a second one of each name would take the square of their number.
        for (number, attribute) in attributes.with_checks(false).enumerate() {
            if number >= ATTRIBUTES_MAX {
                return Err(format!("an element has more than {ATTRIBUTES_MAX} attributes"));
            }
            let attribute = attribute.map_err(|error| format!("is no XML: {error}"))?;
            element.take(&attribute)?;
        }
        Ok(element)
    }

    fn take(&mut self, attribute: &Attribute<'_>) -> Checked<()> {
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| {
            format!("an attribute can't be read: {error}; entities other than those of XML are refused")
        })?;
        let value = value.trim();
        match attribute.key.as_ref() {
            "name" => value.clone_into(&mut self.name),
            "classname" => value.clone_into(&mut self.classname),
            "class" => value.clone_into(&mut self.class),
            "file" => value.clone_into(&mut self.file),
            "hostname" => value.clone_into(&mut self.hostname),
            "status" => value.clone_into(&mut self.status),
            "result" => value.clone_into(&mut self.result),
            // Some languages part thousands.
            "time" => {
                let seconds = value.replace(',', "").parse().unwrap_or(0.0);
                self.seconds = if (0.0..=SECONDS_MAX).contains(&seconds) { seconds } else { 0.0 };
            }
            "uuid" => self.is_nextest = true,
            "id" => self.has_id = true,
            "xsi:noNamespaceSchemaLocation" => self.is_surefire = value.contains("surefire"),
            _ => {}
        }
        Ok(())
    }
}

/// Checks that what stands between `&` and `;` is of XML itself.
fn check_reference(reference: &BytesRef<'_>) -> Checked<()> {
    let is_known = reference.starts_with('#') || resolve_predefined_entity(reference).is_some();
    is_known.then_some(()).ok_or_else(|| format!("&{}; {NO_ENTITY}", cut(reference)))
}

fn is_utf8(encoding: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

/// The start of a text that an error quotes.
fn cut(text: &str) -> String {
    crate::text::line(text).chars().take(40).collect()
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &bytes[..at.min(bytes.len())]).count()
}

fn invalid(line: usize, reason: impl Into<String>) -> Error {
    Error::ReportInvalid { line, reason: reason.into() }
}
