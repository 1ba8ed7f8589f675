//! `cargo xtask lint circles`: no file of a crate may need another file that needs it back.
//!
//! Each file is a module. It depends on the modules that its `crate::` and `super::` paths name. A module and the modules
//! inside it may use each other: they are one thing in several files. Tests don't count: a test may use what stands above
//! the code that it tests. The text is searched and not compiled, so the lint takes well under a second.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The modules of a crate by name, each with those that it uses. The crate's root is the empty name.
type Modules = BTreeMap<String, BTreeSet<String>>;

/// Looks for circles in every crate under `root`.
///
/// # Errors
/// A circle.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for package in packages(root)? {
        let found = circles(&modules(&root.join(&package).join("src"))?);
        let described = |circle| format!("{package}: {} use each other in a circle", listed(circle));
        wrong.extend(found.iter().map(described));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn listed(circle: &BTreeSet<String>) -> String {
    circle.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The folders of the crates.
fn packages(root: &Path) -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("reading {}", root.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() && entry.path().join("src").exists() {
            packages.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(packages)
}

/// Reads every file under `source`.
fn modules(source: &Path) -> Result<Modules> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.insert(module_of(path.strip_prefix(source)?), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(graph(&texts))
}

/// The module that a file holds: `store::reviews` of `store/reviews.rs`, `store` of `store/mod.rs`.
fn module_of(file: &Path) -> String {
    let parts = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let parts: Vec<String> = parts;
    let is_named = |part: &&String| !matches!(part.as_str(), "mod" | "lib" | "main");
    parts.iter().filter(is_named).cloned().collect::<Vec<_>>().join("::")
}

fn graph(texts: &BTreeMap<String, String>) -> Modules {
    let uses = |module: &String, text: &String| {
        let paths = paths(text).into_iter().filter_map(|path| absolute(module, &path));
        // The longest part of a path that is a module; what follows is an item of it.
        let used = paths.filter_map(|path| {
            (0..=path.len()).rev().map(|end| path[..end].join("::")).find(|name| texts.contains_key(name))
        });
        used.filter(|used| !are_family(module, used)).collect()
    };
    texts.iter().map(|(module, text)| (module.clone(), uses(module, text))).collect()
}

/// Whether one of the modules is inside the other, or both are the same.
fn are_family(one: &str, other: &str) -> bool {
    let (outer, inner) = if one.len() < other.len() { (one, other) } else { (other, one) };
    outer.is_empty() || inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

/// What `path` means in `module`, from the crate's root on.
fn absolute(module: &str, path: &[String]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let rest = path.get(supers.max(1)..)?;
    if supers == 0 {
        return Some(rest.to_vec());
    }
    let parts: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let base = parts.get(..parts.len().checked_sub(supers)?)?;
    Some(base.iter().map(|part| (*part).to_owned()).chain(rest.iter().cloned()).collect())
}

/// Every path in `text` that begins with `crate` or `super`, with the braces of `use` written out.
fn paths(text: &str) -> Vec<Vec<String>> {
    let code: String = text
        .split("#[cfg(test)]\nmod ")
        .take(1)
        .flat_map(str::lines)
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut tokens = tokens(&code).into_iter().peekable();
    let mut found = Vec::new();
    while let Some(token) = tokens.next() {
        if matches!(token, "crate" | "super") && tokens.peek() == Some(&"::") {
            tree(vec![token.to_owned()], &mut tokens, &mut found);
        }
    }
    found
}

/// Names, `::`, and every other sign by itself; blanks are left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |sign: char| sign.is_alphanumeric() || sign == '_';
        let length = match first {
            _ if is_name(first) => rest.find(|sign| !is_name(sign)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Reads on behind `prefix`, where a path goes on or splits in braces.
fn tree<'a>(
    mut prefix: Vec<String>,
    tokens: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    found: &mut Vec<Vec<String>>,
) {
    while tokens.next_if_eq(&"::").is_some() {
        match tokens.next() {
            Some("{") => {
                while let Some(token) = tokens.next() {
                    match token {
                        "}" => return,
                        "," => {}
                        "self" => found.push(prefix.clone()),
                        name => tree([prefix.as_slice(), &[name.to_owned()]].concat(), tokens, found),
                    }
                }
            }
            Some(name) => prefix.push(name.to_owned()),
            None => {}
        }
    }
    found.push(prefix);
}

/// The sets of modules that reach each other.
fn circles(modules: &Modules) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        modules.keys().map(|module| (module, reach(modules, module))).collect();
    let circle = |module: &&String| {
        let around = reached[*module].iter().filter(|other| reached[**other].contains(*module));
        around.map(|other| (*other).clone()).collect::<BTreeSet<String>>()
    };
    modules.keys().map(|module| circle(&module)).filter(|circle| !circle.is_empty()).collect()
}

/// Every module that `from` uses, directly or through others.
fn reach<'a>(modules: &'a Modules, from: &str) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = modules[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(&modules[module]);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files.iter().map(|(file, text)| (module_of(Path::new(file)), (*text).to_owned()));
        circles(&graph(&texts.collect())).iter().map(listed).collect()
    }

    #[test]
    fn no_crate_has_a_circle() {
        check(&crate::root()).unwrap();
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle_however_they_write_it() {
        for back in [
            "use crate::a::A;",
            "use crate::{Error, a};",
            "use crate::{\n    a::{self, A},\n    Error,\n};",
            "pub(crate) fn f() -> crate::a::A {}",
            "use super::a::A;",
        ] {
            let files = [("lib.rs", "pub mod a;"), ("a.rs", "use crate::b::B;"), ("b.rs", back)];
            assert_eq!(circles_of(&files), ["a, b"], "{back}");
        }
    }

    #[test]
    fn a_circle_of_many_is_named_with_all_its_files_and_nothing_beside_it() {
        let files = [
            ("a/mod.rs", "use crate::b::c::C;"),
            ("b/c.rs", "use super::super::d;"),
            ("b/mod.rs", "use crate::d;"),
            ("d.rs", "use crate::a::A; use crate::e;"),
            ("e.rs", ""),
            ("f.rs", "use crate::a;"),
        ];
        assert_eq!(circles_of(&files), ["a, b::c, d"]);
    }

    #[test]
    fn what_is_no_circle_passes() {
        let one_way = [("a.rs", "use crate::b;"), ("b.rs", "use crate::c;"), ("c.rs", "")];
        let family = [("a/mod.rs", "use crate::a::b::B;"), ("a/b.rs", "use super::A; use crate::a::A;")];
        let root = [("lib.rs", "use crate::a::A;"), ("a.rs", "use crate::Error;")];
        let only_named = [("a.rs", "use crate::b;"), ("b.rs", "//! See [`crate::a`].\n    // crate::a\n")];
        let tested = [("a.rs", "use crate::b;"), ("b.rs", "#[cfg(test)]\nmod tests {\n    use crate::a;\n}")];
        let other_crate = [("a.rs", "use crate::b;"), ("b.rs", "use other::a;")];
        for files in [&one_way[..], &family, &root, &only_named, &tested, &other_crate] {
            assert_eq!(circles_of(files), [""; 0], "{files:?}");
        }
    }
}
