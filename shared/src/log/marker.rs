//! Lines and codes with which a CI system says where a step begins and ends, and how the job ended.
//!
//! | system | a step begins at | source |
//! |---|---|---|
//! | GitHub Actions | `##[group]Run `, `Post job cleanup.` | <https://github.com/actions/runner> |
//! | Azure Pipelines | `##[section]Starting: ` | <https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands> |
//! | GitLab | `section_start:TIME:NAME` | <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections> |
//! | Jenkins | `[Pipeline] { (NAME)` | <https://www.jenkins.io/doc/book/pipeline/> |
//! | CircleCI | `#!/bin/bash -eo pipefail` | <https://circleci.com/docs/configuration-reference/#default-shell-options> |
//! | Buildkite | `--- NAME`, `+++ NAME`, `~~~ NAME` | <https://buildkite.com/docs/pipelines/configure/managing-log-output> |
//! | Travis CI | `travis_fold:start:NAME`, `travis_time:start:` | <https://github.com/travis-ci/travis-build> |

use super::{Format, Outcome};

/// Erases a terminal's line. GitLab and Travis write it behind their codes, so that a terminal does not show them.
const ERASE: &[u8] = b"\x1b[0K";

/// The first line of every build of Jenkins begins so: `Started by user`, `Started by timer`, `Started by an SCM change`.
pub(super) const JENKINS_STARTS: &[u8] = b"Started by ";

/// What the CI system says beside the program.
pub(super) enum Marker<'a> {
    /// A step begins. The name may be empty.
    Start(&'a [u8]),
    /// The step has ended; what follows belongs to none.
    End,
}

/// Takes the CI system's codes off a line, and learns the format from them.
pub(super) fn split<'a>(text: &'a [u8], format: &mut Format) -> (Option<Marker<'a>>, &'a [u8]) {
    // Most lines end here.
    match text.first() {
        Some(b'#') => (hash(text, format), text),
        Some(b'P' | b'S' | b'[' | b'-' | b'+' | b'~') => (line(text, format), text),
        Some(b's' | b't' | 0x1b) if matches!(format, Format::Plain | Format::GitLab | Format::Travis) => {
            codes(text, format)
        }
        _ => (None, text),
    }
}

/// How the job ended, if this line says so.
pub(super) fn outcome(text: &[u8], format: Format) -> Option<Outcome> {
    let told = |fails: &[u8], passes: &[u8]| match text {
        _ if text.starts_with(fails) => Some(Outcome::Failed),
        _ if text.starts_with(passes) => Some(Outcome::Ended),
        _ => None,
    };
    match format {
        Format::Actions | Format::Azure => told(b"##[error]", b"Cleaning up orphan processes"),
        Format::GitLab => {
            let text = uncoloured(text);
            match text {
                _ if text.starts_with(b"ERROR: Job failed") => Some(Outcome::Failed),
                _ if text.starts_with(b"Job succeeded") => Some(Outcome::Ended),
                _ => None,
            }
        }
        Format::Jenkins => match text.strip_prefix(b"Finished: ")? {
            b"SUCCESS" => Some(Outcome::Ended),
            _ => Some(Outcome::Failed),
        },
        Format::Travis => match text.strip_prefix(b"Done. Your build exited with ")? {
            b"0." => Some(Outcome::Ended),
            _ => Some(Outcome::Failed),
        },
        Format::CircleCi => told(b"Exited with code", b"CircleCI received exit code 0"),
        Format::Buildkite => {
            let says = "🚨 Error: The command exited with status";
            uncoloured(text).starts_with(says.as_bytes()).then_some(Outcome::Failed)
        }
        Format::Plain => None,
    }
}

fn hash<'a>(text: &'a [u8], format: &mut Format) -> Option<Marker<'a>> {
    if matches!(format, Format::Plain | Format::Actions | Format::Azure) && text.starts_with(b"##[") {
        if let Some(name) = text.strip_prefix(b"##[section]Starting: ") {
            *format = Format::Azure;
            return Some(Marker::Start(name));
        }
        if *format == Format::Plain {
            *format = Format::Actions;
        }
        let name = text.strip_prefix(b"##[group]")?;
        return name.starts_with(b"Run ").then_some(Marker::Start(name));
    }
    let is_circle = matches!(format, Format::Plain | Format::CircleCi);
    if is_circle && text.starts_with(b"#!/bin/") && text.ends_with(b" -eo pipefail") {
        *format = Format::CircleCi;
        return Some(Marker::Start(b""));
    }
    None
}

fn line<'a>(text: &'a [u8], format: &mut Format) -> Option<Marker<'a>> {
    if text.starts_with(b"Post job cleanup.") {
        return Some(Marker::Start(b"Post job cleanup"));
    }
    match format {
        Format::Plain if text.starts_with(JENKINS_STARTS) => {
            *format = Format::Jenkins;
            None
        }
        Format::Plain | Format::Jenkins if text.starts_with(b"[Pipeline] ") => {
            *format = Format::Jenkins;
            let rest = &text[b"[Pipeline] ".len()..];
            if rest == b"// stage" {
                return Some(Marker::End);
            }
            rest.strip_prefix(b"{ (")?.strip_suffix(b")").map(Marker::Start)
        }
        Format::Plain | Format::Buildkite => {
            let name = ["--- ", "+++ ", "~~~ "].iter().find_map(|mark| text.strip_prefix(mark.as_bytes()))?;
            // The first group of every job of Buildkite; elsewhere such a line may begin a diff.
            if *format == Format::Plain && text.starts_with(b"~~~ Preparing ") {
                *format = Format::Buildkite;
            }
            (*format == Format::Buildkite).then_some(Marker::Start(name))
        }
        _ => None,
    }
}

/// Codes before the text of a line, each of them ended by a carriage return.
fn codes<'a>(text: &'a [u8], format: &mut Format) -> (Option<Marker<'a>>, &'a [u8]) {
    let (mut found, mut rest) = (None, text);
    loop {
        rest = erased(rest);
        let end = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
        let (code, after) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        let strip = |prefix: &str| code.strip_prefix(prefix.as_bytes());
        let (marker, of) = if let Some(section) = strip("section_start:") {
            (Some(Marker::Start(section_name(section))), Format::GitLab)
        } else if strip("section_end:").is_some() {
            (Some(Marker::End), Format::GitLab)
        } else if let Some(name) = strip("travis_fold:start:") {
            (Some(Marker::Start(name)), Format::Travis)
        } else if strip("travis_fold:end:").is_some() {
            (Some(Marker::End), Format::Travis)
        } else if strip("travis_time:start:").is_some() {
            let command = erased(after).strip_prefix(b"$ ").unwrap_or_default();
            // A fold has the better name.
            (
                Some(Marker::Start(command)).filter(|_| !matches!(found, Some(Marker::Start(_)))),
                Format::Travis,
            )
        } else if strip("travis_time:end:").is_some() {
            (None, Format::Travis)
        } else {
            return (found, rest);
        };
        if *format == Format::Plain {
            *format = of;
        }
        found = marker.or(found);
        rest = after;
    }
}

/// `1560896352:step_script[collapsed=true]` without time and options.
fn section_name(section: &[u8]) -> &[u8] {
    let name = memchr::memchr(b':', section).map_or(section, |at| &section[at + 1..]);
    memchr::memchr(b'[', name).map_or(name, |at| &name[..at])
}

fn erased(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(ERASE) {
        text = rest;
    }
    text
}

/// The text after the colours that begin it.
fn uncoloured(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"\x1b[") {
        match rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) {
            Some(end) => text = &rest[end + 1..],
            None => return text,
        }
    }
    text
}
