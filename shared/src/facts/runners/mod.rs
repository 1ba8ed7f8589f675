//! Failing tests by name: a file for each family of test runners.
//!
//! A runner is read where a line has one of its marks: how the line begins, or a word in it (`facts::marks`). Runners
//! whose records take several lines remember what the earlier ones said, and lines that do not belong to a record change
//! nothing in it.

mod dart;
mod dotnet;
mod elixir;
mod go;
mod javascript;
mod jvm;
mod native;
mod php;
mod playwright;
mod python;
mod ruby;
mod rust;
mod swift;

use super::found::Tests;
use super::line::Line;
use super::marks::Family;

/// All runners, and what each remembers.
#[derive(Debug, Default)]
pub(super) struct Runners {
    javascript: javascript::JavaScript,
    playwright: playwright::Playwright,
    go: go::Go,
    rust: rust::Rust,
    jvm: jvm::Jvm,
    ruby: ruby::Ruby,
    php: php::Php,
    native: native::Native,
}

impl Runners {
    /// Reads a line with those runners that are `wanted`.
    pub(super) fn read(&mut self, wanted: u32, line: Line<'_>, tests: &mut Tests) {
        let is_wanted = |family: Family| wanted & family.bit() != 0;
        if is_wanted(Family::Python) {
            python::pytest(line, tests);
            python::unittest(line, tests);
        }
        if is_wanted(Family::JavaScript) {
            self.javascript.read(line, tests);
        }
        if is_wanted(Family::Playwright) {
            self.playwright.read(line, tests);
        }
        if is_wanted(Family::Go) {
            self.go.read(line, tests);
        }
        if is_wanted(Family::Rust) {
            self.rust.read(line, tests);
        }
        if is_wanted(Family::Jvm) {
            self.jvm.read(line, tests);
        }
        if is_wanted(Family::Dotnet) {
            dotnet::dotnet(line, tests);
            dotnet::nunit(line, tests);
        }
        if is_wanted(Family::Ruby) {
            self.ruby.read(line, tests);
        }
        if is_wanted(Family::Php) {
            self.php.read(line, tests);
        }
        if is_wanted(Family::Native) {
            self.native.read(line, tests);
        }
        if is_wanted(Family::Dart) {
            dart::read(line, tests);
        }
        if is_wanted(Family::Swift) {
            swift::read(line, tests);
        }
        if is_wanted(Family::Elixir) {
            elixir::read(line, tests);
        }
    }

    /// The runners that want the next line, whatever its marks.
    pub(super) fn open(&self) -> u32 {
        let mut open = 0;
        for (is_open, family) in [
            (self.javascript.is_open(), Family::JavaScript),
            (self.playwright.is_open(), Family::Playwright),
            (self.go.is_open(), Family::Go),
            (self.jvm.is_open(), Family::Jvm),
            (self.ruby.is_open(), Family::Ruby),
            (self.native.is_open(), Family::Native),
        ] {
            if is_open {
                open |= family.bit();
            }
        }
        open
    }
}
