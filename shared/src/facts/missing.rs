//! What was looked for and not there, by name.
//!
//! Most tools write the name between two texts, so most forms are rows of a table: what stands before the name, and what
//! ends it. The forms are those of the tools' own sources and documentation; each row names its tool.

use super::found::{MissingThings, What};
use super::labels::{Hit, Labels};
use super::line::{Line, between};
use What::{Command, File, Module, Package, Permission, Secret, Variable};
use std::sync::LazyLock;

/// A form: the text before the name, the text after it (empty: the end of the line), the kind.
type Form = (&'static str, &'static str, What);

const FORMS: [Form; 73] = [
    // Python (<https://docs.python.org/3/library/exceptions.html>)
    ("No module named '", "'", Module),
    ("No module named ", "", Module),
    // Node.js (<https://nodejs.org/api/errors.html>), webpack, Vite, TypeScript
    ("Cannot find module '", "'", Module),
    ("Cannot find package '", "'", Module),
    ("Can't resolve '", "'", Module),
    ("Failed to resolve import \"", "\"", Module),
    ("Could not resolve \"", "\"", Module),
    ("Could not resolve '", "'", Module),
    ("Cannot find type definition file for '", "'", Module),
    // rustc, javac, swiftc, go, Elixir
    ("unresolved import `", "`", Module),
    ("use of undeclared crate or module `", "`", Module),
    ("use of unresolved module or unlinked crate `", "`", Module),
    ("can't find crate for `", "`", Module),
    ("error: no such module '", "'", Module),
    ("no required module provides package ", ";", Module),
    ("cannot find package \"", "\"", Module),
    ("cannot load such file -- ", "", Module),
    // pip, uv, Poetry (<https://pip.pypa.io/>)
    ("No matching distribution found for ", "", Package),
    ("Could not find a version that satisfies the requirement ", " (from", Package),
    // npm, yarn, pnpm
    ("No matching version found for ", "", Package),
    ("npm error Missing: ", " from lock file", Package),
    ("Couldn't find package \"", "\"", Package),
    ("Couldn't find any versions for \"", "\"", Package),
    // Cargo
    ("no matching package named `", "`", Package),
    ("failed to select a version for the requirement `", "`", Package),
    // apt (<https://manpages.debian.org/apt-get>), apk, dnf
    ("E: Unable to locate package ", "", Package),
    ("No match for argument: ", "", Package),
    // NuGet, Maven, Gradle
    ("Unable to find package ", ". ", Package),
    ("Could not find artifact ", " in ", Package),
    ("> Could not find ", ".", Package),
    ("Plugin [id: '", "'", Package),
    // Bundler, Composer, pub, CMake, pkg-config, Homebrew, ld
    ("Could not find gem '", "'", Package),
    ("could not find package ", " at ", Package),
    ("package configuration file provided by \"", "\"", Package),
    ("No available formula with the name \"", "\"", Package),
    ("cannot find -l", "", Package),
    // GitHub Actions
    ("Unable to resolve action `", "`", Package),
    ("Unable to resolve action ", ",", Package),
    ("manifest for ", " not found", Package),
    ("pull access denied for ", ",", Package),
    // Files: Python, Node.js, PowerShell, GNU tools, setup-node, npm, Docker
    ("No such file or directory: '", "'", File),
    ("No such file or directory: \"", "\"", File),
    ("can't open file '", "'", File),
    ("Cannot find path '", "'", File),
    ("Could not find file '", "'", File),
    ("Could not open requirements file: [Errno 2] No such file or directory: '", "'", File),
    ("Could not find a part of the path '", "'", File),
    ("because ", " is absent", File),
    ("could not find a ", " file", File),
    ("with an existing ", " or", File),
    // Commands: cmd.exe, PowerShell, Go, Node.js, toolkit, npm, Cargo
    ("The term '", "' is not recognized", Command),
    ("exec: \"", "\": executable file not found", Command),
    ("Unable to locate executable file: ", ". ", Command),
    ("Missing script: \"", "\"", Command),
    ("missing script: ", "", Command),
    ("no such command: `", "`", Command),
    ("unknown shorthand flag: ", "", Command),
    // Secrets: the toolkit's inputs, reusable workflows, git, uv and twine
    ("Missing credentials for ", "", Secret),
    ("could not read Username for '", "'", Secret),
    ("could not read Password for '", "'", Secret),
    ("Secret ", " is required, but not provided", Secret),
    // Permissions: Google Cloud, AWS, GitHub, Python, Node.js
    ("Permission '", "' denied", Permission),
    ("Permission \"", "\" denied", Permission),
    ("denied: Permission ", " denied", Permission),
    ("is not authorized to perform: ", " ", Permission),
    ("without `", "` permission", Permission),
    ("remote: Permission to ", " denied", Permission),
    ("Permission denied: '", "'", Permission),
    ("permission denied, open '", "'", Permission),
    // Variables: Prisma, Bash, Python's os.environ
    ("Environment variable not found: ", ".", Variable),
    ("issing required environment variable: ", "", Variable),
    ("issing environment variable: ", "", Variable),
    ("KeyError: '", "'", Variable),
];

/// What reads a form without fixed text around its name: the text before and after the words, and the whole line.
type Shape = fn(&str, &str, &str) -> Option<Named>;

/// What is missing and its name.
type Named = (What, String);

/// Words of forms that need more than a row: what stands around them tells the name.
const SHAPES: [(&str, Shape); 20] = [
    // `bash: line 1: name: command not found`
    (": command not found", |before, _, _| named(Command, before.rsplit(": ").next()?)),
    (" is not recognized as an internal or external command", |before, _, _| {
        named(Command, before.rsplit('\'').find(|part| !part.is_empty())?)
    }),
    (" ENOENT", |before, _, _| named(Command, before.rsplit_once("spawn ")?.1)),
    // `/bin/sh: 1: name: not found`
    (": not found", |before, after, _| {
        let (shell, name) = before.rsplit_once(": ")?;
        if after.is_empty() && shell.contains("sh: ") && !name.contains(' ') {
            named(Command, name)
        } else {
            None
        }
    }),
    ("Input required and not supplied: ", |_, after, _| {
        let lowered = after.to_ascii_lowercase();
        let is_secret = ["token", "key", "secret", "password"].iter().any(|word| lowered.contains(word));
        named(if is_secret { Secret } else { Variable }, after)
    }),
    ("sername and password required", |_, _, _| named(Secret, "username and password")),
    ("Resource not accessible by integration", |_, _, _| {
        named(Permission, "Resource not accessible by integration")
    }),
    ("Write access to repository not granted", |_, _, _| named(Permission, "Write access to repository")),
    // apt
    (" has no installation candidate", |before, _, _| named(Package, before.strip_prefix("E: Package ")?)),
    ("Permission denied (", |_, after, _| named(Permission, after.split_once(')')?.0)),
    (": Permission denied", denied),
    (": permission denied", denied),
    (": unbound variable", |before, _, _| named(Variable, before.rsplit(": ").next()?)),
    ("nvironment variable", |_, _, line| variable(line)),
    (": No such file or directory", not_there),
    (": no such file or directory", not_there),
    (": No such file", not_there),
    (" not found in PATH", |before, _, _| named(Command, before.rsplit(' ').next()?)),
    (" not found in $PATH", |before, _, _| named(Command, before.rsplit(' ').next()?)),
    // actions/setup-node: `Dependencies lock file is not found in /home/…`
    ("lock file is not found in ", |_, _, _| named(File, "lock file")),
];

static LABELS: LazyLock<Labels> = LazyLock::new(|| {
    let forms = FORMS.iter().map(|(before, ..)| *before);
    Labels::new(forms.chain(SHAPES.iter().map(|(words, _)| *words)))
});

pub(super) fn read(line: Line<'_>, missing: &mut MissingThings) {
    let text = line.trimmed;
    let found = LABELS.hits(text).find_map(|Hit { label, start, end }| match FORMS.get(label) {
        Some(form) => by_form(form, &text[end..]),
        None => SHAPES[label - FORMS.len()].1(&text[..start], &text[end..], text),
    });
    if let Some((what, name)) = found {
        missing.add(what, &name);
    }
}

fn named(what: What, name: &str) -> Option<Named> {
    Some((what, name.to_owned()))
}

fn by_form((before, after, what): &Form, rest: &str) -> Option<Named> {
    let name = if after.is_empty() {
        rest.split([' ', ';', ',']).next()?
    } else if let Some(end) = rest.find(after) {
        &rest[..end]
    } else if matches!(*after, "." | ", " | ". " | " ") {
        rest
    } else {
        return None;
    };
    // Names from the environment are capitals; other keys are a program's own matter.
    let is_name = !name.is_empty() && (*before != "KeyError: '" || is_variable(name));
    if is_name { named(*what, name.trim_end_matches([':', ')'])) } else { None }
}

/// `path: Permission denied`
fn denied(before: &str, after: &str, _: &str) -> Option<Named> {
    let name = before.rsplit(": ").next()?;
    if after.is_empty() && is_path(name) { named(Permission, name) } else { None }
}

/// `path: No such file or directory`, `open path: no such file or directory`, and what tools put between.
fn not_there(before: &str, after: &str, _: &str) -> Option<Named> {
    if let Some(path) = between(after, "'", "'") {
        // Node.js: `ENOENT: no such file or directory, open 'path'`
        return named(File, path);
    }
    let mut parts = before.rsplit(": ");
    let last = parts.next()?;
    // GNU tools put what they tried between: `tar: out: Cannot open`, `cp: cannot stat 'path'`.
    let last = if last.starts_with("Cannot ") { parts.next()? } else { last };
    let name = match between(last, "'", "'").or_else(|| between(last, "‘", "’")) {
        Some(quoted) => quoted,
        None => last.rsplit(' ').next()?,
    };
    // A shell that looks for a program says the same: `line 1: vendor/bin/tool: No such file or directory`.
    let is_program =
        before.contains(": line ") || before.starts_with("env: ") || before.starts_with("/usr/bin/env: ");
    named(if is_program { Command } else { File }, name)
}

/// The name in capitals in a sentence on a variable of the environment.
fn variable(text: &str) -> Option<Named> {
    let is_missing =
        ["missing", "Missing", "not set", "required", "not found", "undefined", "must be set", "not defined"]
            .iter()
            .any(|word| text.contains(word));
    let is_name = |word: &&str| is_variable(word);
    let mut words = text.split(|next: char| !next.is_ascii_alphanumeric() && next != '_');
    if is_missing { named(Variable, words.find(is_name)?) } else { None }
}

/// Whether a word is a name as environments have them: capitals, with an underscore.
fn is_variable(word: &str) -> bool {
    word.len() > 3
        && word.contains('_')
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && word.starts_with(|first: char| first.is_ascii_uppercase())
}

fn is_path(name: &str) -> bool {
    !name.is_empty() && !name.contains(' ') && name.contains(['/', '.'])
}
