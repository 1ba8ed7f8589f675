//! What was looked for and not there, by name.
//!
//! Most tools write the name between two texts, so most forms are rows of a table: what stands before the name, and what
//! ends it. The forms are those of the tools' own sources and documentation; each row names its tool.

use super::found::{MissingThings, What};
use super::line::{Line, between};
use What::{Command, File, Module, Package, Permission, Secret, Variable};

/// A form: the text before the name, the text after it (empty: the end of the line), the kind.
type Form = (&'static str, &'static str, What);

const FORMS: [Form; 72] = [
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
    ("> Could not find ", ".\n", Package),
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

pub(super) fn read(line: Line<'_>, missing: &mut MissingThings) {
    let text = line.trimmed;
    if let Some((what, name)) = by_form(text).or_else(|| by_shape(text)) {
        missing.add(what, name);
    }
}

fn by_form(text: &str) -> Option<(What, &str)> {
    FORMS.iter().find_map(|(before, after, what)| {
        let start = text.find(before)? + before.len();
        let rest = &text[start..];
        let name = if after.is_empty() {
            rest.split([' ', ';', ',']).next()?
        } else if let Some(end) = rest.find(after) {
            &rest[..end]
        } else if *after == "." || *after == ".\n" || *after == ", " || *after == ". " || *after == " " {
            rest
        } else {
            return None;
        };
        // Names from the environment are capitals; other keys are a program's own matter.
        let is_name = !name.is_empty() && (*before != "KeyError: '" || is_variable(name));
        is_name.then_some((*what, name.trim_end_matches([':', ')'])))
    })
}

/// The forms where the name has no fixed text on one side.
fn by_shape(text: &str) -> Option<(What, &str)> {
    if let Some((before, _)) = text.split_once(": command not found") {
        // `bash: line 1: name: command not found`
        return Some((Command, before.rsplit(": ").next()?));
    }
    if let Some((before, _)) = text.split_once(" is not recognized as an internal or external command") {
        return Some((Command, before.rsplit('\'').find(|part| !part.is_empty())?));
    }
    if let Some(name) = between(text, "spawn ", " ENOENT") {
        return Some((Command, name));
    }
    if let Some(before) = text.strip_suffix(": not found") {
        // `/bin/sh: 1: name: not found`
        let name = before.rsplit(": ").next()?;
        return (before.contains("sh: ") && !name.contains(' ')).then_some((Command, name));
    }
    if let Some(name) = text.split_once("Input required and not supplied: ").map(|(_, name)| name) {
        let is_secret = ["token", "key", "secret", "password"]
            .iter()
            .any(|word| name.to_ascii_lowercase().contains(word));
        return Some((if is_secret { Secret } else { Variable }, name));
    }
    if text.contains("sername and password required") {
        return Some((Secret, "username and password"));
    }
    if text.contains("Resource not accessible by integration") {
        return Some((Permission, "Resource not accessible by integration"));
    }
    if text.contains("Write access to repository not granted") {
        return Some((Permission, "Write access to repository"));
    }
    if let Some(name) =
        text.strip_prefix("E: Package ").and_then(|rest| rest.strip_suffix(" has no installation candidate"))
    {
        return Some((Package, name));
    }
    if let Some((_, rest)) = text.split_once("Permission denied (")
        && let Some((methods, _)) = rest.split_once(')')
    {
        return Some((Permission, methods));
    }
    if let Some((name, _)) = text.split_once(": unbound variable") {
        return Some((Variable, name.rsplit(": ").next()?));
    }
    if text.contains("nvironment variable") {
        return variable(text);
    }
    not_there(text)
}

/// `path: No such file or directory`, `open path: no such file or directory`, and what tools put between.
fn not_there(text: &str) -> Option<(What, &str)> {
    if let Some(before) =
        text.strip_suffix(": Permission denied").or_else(|| text.strip_suffix(": permission denied"))
    {
        let name = before.rsplit(": ").next()?;
        return is_path(name).then_some((Permission, name));
    }
    let at = text.find(": No such file or directory").or_else(|| text.find(": no such file or directory"))?;
    let (before, after) = (&text[..at], &text[at..]);
    if let Some(path) = between(after, "'", "'") {
        // Node.js: `ENOENT: no such file or directory, open 'path'`
        return Some((File, path));
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
    Some((if is_program { Command } else { File }, name))
}

/// The name in capitals in a sentence on a variable of the environment.
fn variable(text: &str) -> Option<(What, &str)> {
    let is_missing =
        ["missing", "Missing", "not set", "required", "not found", "undefined", "must be set", "not defined"]
            .iter()
            .any(|word| text.contains(word));
    let is_name = |word: &&str| is_variable(word);
    let mut words = text.split(|next: char| !next.is_ascii_alphanumeric() && next != '_');
    is_missing.then(|| words.find(is_name)).flatten().map(|name| (Variable, name))
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
