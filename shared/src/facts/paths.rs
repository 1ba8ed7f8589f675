//! Paths in logs: relative to the repository, and whether they lie in it.

use super::labels::Labels;
use std::sync::LazyLock;

/// Folders that runners check repositories out into. A `*` is one folder of any name. GitHub
/// (<https://docs.github.com/actions/reference/workflows-and-actions/variables>, `GITHUB_WORKSPACE`), its containers and
/// its self-hosted runners; GitLab (`CI_PROJECT_DIR`), CircleCI, Travis CI, Azure Pipelines (`Build.SourcesDirectory`),
/// Bitbucket, Jenkins, Drone, Bitrise, Xcode Cloud; and the one that Bazel builds in.
const WORK_FOLDERS: [&str; 21] = [
    "/execroot/*/",
    "/runner/work/*/*/",
    "/_work/*/*/",
    "/__w/*/*/",
    "/github/workspace/",
    ":/a/1/s/",
    ":/a/*/*/",
    "/builds/*/*/",
    "/circleci/project/",
    "/circleci/repo/",
    "/root/project/",
    "/travis/build/*/*/",
    "/vsts/work/1/s/",
    "/work/1/s/",
    "/pipelines/agent/build/",
    "/jenkins/workspace/*/",
    "/jenkins_home/workspace/*/",
    "/buildkite-agent/builds/*/*/*/",
    "/drone/src/",
    "/bitrise/src/",
    "/Volumes/workspace/repository/",
];

/// The same, at the root: Netlify, Vercel, Codespaces, Tekton, and what images of applications use.
const ROOT_FOLDERS: [&str; 10] = [
    "/opt/build/repo/",
    "/vercel/path0/",
    "/workspaces/*/",
    "/workspace/source/",
    "/workspace/",
    "/usr/src/app/",
    "/usr/src/*/",
    "/app/",
    "/code/",
    "/repo/",
];

/// Parts of paths that belong to somebody else's code: packages, tools and the languages' own libraries.
const OUTSIDE: [&str; 43] = [
    "node_modules/",
    "site-packages/",
    "dist-packages/",
    "hostedtoolcache/",
    "/usr/lib/",
    "/usr/include/",
    "/usr/share/",
    "/usr/local/",
    "/usr/bin/",
    "/lib/python",
    "/_temp/",
    "/_actions/",
    "/go/pkg/mod/",
    "/rustc/",
    "/.cargo/",
    "/.rustup/",
    "/.gradle/",
    "/.m2/",
    "/.nuget/",
    "/.pub-cache/",
    "/.rbenv/",
    "/.asdf/",
    "/.nvm/",
    "/.npm/",
    "/.venv/",
    "/venv/",
    "/.tox/",
    "/.nox/",
    "/.yarn/",
    "/.pnpm/",
    "/vendor/",
    "/gems/",
    "/Pods/",
    "/DerivedData/",
    "/checkouts/",
    "/_deps/",
    "/external/",
    "/deps/",
    "/Program Files",
    "/Windows Kits/",
    "/Applications/",
    "/Library/",
    "/nix/store/",
];

static OUTSIDE_LABELS: LazyLock<Labels> = LazyLock::new(|| Labels::new(OUTSIDE.iter().copied()));

/// Endings of the files that people write. In order, to be searched by halves.
const ENDINGS: [&str; 113] = [
    "R",
    "S",
    "adoc",
    "asm",
    "astro",
    "bash",
    "bat",
    "bicep",
    "bzl",
    "c",
    "cc",
    "cfg",
    "cjs",
    "clj",
    "cljs",
    "cmake",
    "cpp",
    "cs",
    "cshtml",
    "csproj",
    "css",
    "cts",
    "cu",
    "cxx",
    "d",
    "dart",
    "dockerfile",
    "eex",
    "elm",
    "erb",
    "erl",
    "ex",
    "exs",
    "f90",
    "feature",
    "fs",
    "fsproj",
    "go",
    "gql",
    "gradle",
    "graphql",
    "groovy",
    "h",
    "haml",
    "hbs",
    "hcl",
    "heex",
    "hh",
    "hpp",
    "hrl",
    "hs",
    "htm",
    "html",
    "hxx",
    "ini",
    "ino",
    "ipynb",
    "j2",
    "java",
    "jl",
    "js",
    "json",
    "jsonc",
    "jsx",
    "kt",
    "kts",
    "less",
    "lock",
    "lua",
    "m",
    "md",
    "mdx",
    "mjs",
    "ml",
    "mli",
    "mm",
    "mts",
    "nix",
    "php",
    "phpt",
    "pl",
    "plist",
    "pm",
    "prisma",
    "props",
    "proto",
    "ps1",
    "py",
    "pyi",
    "pyx",
    "r",
    "rake",
    "razor",
    "rb",
    "rs",
    "rst",
    "sass",
    "scala",
    "scss",
    "sh",
    "sol",
    "sql",
    "svelte",
    "swift",
    "tf",
    "toml",
    "ts",
    "tsx",
    "txt",
    "vue",
    "xml",
    "yaml",
    "yml",
];

/// The longest path that is read, in bytes: Linux allows longer ones, but repositories hold none.
const PATH_BYTES_MAX: usize = 300;

/// Whether a text is the name of a source file.
pub(super) fn is_source(path: &str) -> bool {
    if path.len() > PATH_BYTES_MAX {
        return false;
    }
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, ending)) => !stem.is_empty() && ENDINGS.binary_search(&ending).is_ok(),
        None => matches!(name, "Dockerfile" | "Makefile" | "Rakefile" | "Gemfile" | "Jenkinsfile" | "BUILD"),
    }
}

/// The path as the repository has it. None for a path that lies outside or is none.
///
/// An absolute path in a folder that is not known stays as it is.
pub(super) fn of_error(path: &str) -> Option<String> {
    let path = path.trim().trim_matches(['"', '\'', '`', '(', ')', '<', '>']);
    let path = ["file:///", "file://", "file:", "webpack:///", "webpack://"]
        .iter()
        .find_map(|scheme| {
            path.strip_prefix(scheme).map(|rest| if *scheme == "file:///" { &path[7..] } else { rest })
        })
        .unwrap_or(path);
    // webpack writes the name of the project: `webpack://shop/./src/a.js`.
    let path =
        path.split_once("/./").map_or(path, |(before, rest)| if before.contains('/') { path } else { rest });
    if !is_source(path) || path.contains("://") || path.contains(": ") || path.starts_with("node:") {
        return None;
    }
    let mut path = path.replace('\\', "/");
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    // `/D:/a/…` is what is left of `file:///D:/a/…`.
    if path.as_bytes().get(2) == Some(&b':') && path.starts_with('/') {
        path.remove(0);
    }
    let path = in_work_folder(&path).unwrap_or(&path);
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./").or_else(|| path.strip_prefix("../")) {
        path = rest;
    }
    let rooted = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if OUTSIDE_LABELS.hits(&rooted).next().is_some() || path.contains(['<', '>', '|', '*', '?', '"']) {
        return None;
    }
    let path = resolved(path);
    (!path.is_empty()).then_some(path)
}

/// The same for a stack frame: a path in an unknown folder is outside.
pub(super) fn of_frame(path: &str) -> Option<String> {
    // Relative to a folder that the log does not tell, of a package of Dart, or of a compiled module of Python.
    let is_elsewhere =
        ["../", "package:", "dart:"].iter().any(|start| path.starts_with(start)) || path.ends_with(".pyx");
    of_error(path)
        .filter(|_| !is_elsewhere)
        .filter(|path| !path.starts_with(['/', '~']) && path.as_bytes().get(1) != Some(&b':'))
}

/// What follows the runner's folder.
fn in_work_folder(path: &str) -> Option<&str> {
    if !path.starts_with('/') && path.as_bytes().get(1) != Some(&b':') {
        return None;
    }
    let anywhere =
        || WORK_FOLDERS.iter().find_map(|pattern| after(path, path.find(before_star(pattern))?, pattern));
    ROOT_FOLDERS.iter().find_map(|pattern| after(path, 0, pattern)).or_else(anywhere)
}

fn before_star(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or(pattern)
}

/// What follows `pattern` in the path, if it stands at `start`.
fn after<'a>(path: &'a str, start: usize, pattern: &str) -> Option<&'a str> {
    let mut parts = pattern.split('*');
    let mut rest = path[start..].strip_prefix(parts.next()?)?;
    for part in parts {
        let folder = rest.find('/')?;
        if folder == 0 || rest.starts_with("_temp/") || rest.starts_with("_actions/") {
            return None;
        }
        rest = rest[folder..].strip_prefix(part)?;
    }
    Some(rest)
}

/// The path without `x/../`.
fn resolved(path: &str) -> String {
    if !path.contains("/../") && !path.contains("/./") {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endings_are_in_order() {
        assert!(ENDINGS.is_sorted(), "{:?}", ENDINGS.windows(2).find(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn the_runners_folder_is_taken_off() {
        for path in [
            "/home/runner/work/app/app/src/a.rs",
            "/Users/runner/work/app/app/src/a.rs",
            r"D:\a\app\app\src\a.rs",
            "file:///home/runner/work/app/app/src/a.rs",
            "file:///D:/a/app/app/src/a.rs",
            "/__w/app/app/src/a.rs",
            "/github/workspace/src/a.rs",
            "/builds/group/app/src/a.rs",
            "/home/ubuntu/actions-runner/_work/app/app/src/a.rs",
            r"D:\a\1\s\src\a.rs",
            "/home/vsts/work/1/s/src/a.rs",
            "/home/circleci/project/src/a.rs",
            "/home/travis/build/owner/app/src/a.rs",
            "/var/lib/jenkins/workspace/job/src/a.rs",
            "/app/src/a.rs",
            "./src/a.rs",
            "src/x/../a.rs",
            "src/a.rs",
        ] {
            assert_eq!(of_frame(path).as_deref(), Some("src/a.rs"), "{path}");
        }
    }

    #[test]
    fn other_peoples_code_is_outside() {
        for path in [
            "node:internal/modules/run_main.js",
            "/home/runner/work/app/app/node_modules/jest/a.js",
            "/opt/hostedtoolcache/Python/3.12.1/x64/lib/python3.12/site-packages/a.py",
            "/usr/lib/python3.12/unittest/case.py",
            "/home/runner/.cargo/registry/src/index.crates.io-1/serde-1/src/lib.rs",
            "/rustc/0123/library/core/src/panicking.rs",
            "../../../go/pkg/mod/github.com/x/y@v1.2.3/a.go",
            "<frozen importlib._bootstrap>",
            "<string>",
            "/home/runner/work/_temp/1234.sh",
            "https://example.com/a.js",
            "example.com",
            "v1.2.3",
            "",
        ] {
            assert_eq!(of_frame(path), None, "{path}");
        }
    }

    #[test]
    fn an_unknown_folder_is_kept_for_errors_only() {
        assert_eq!(of_error("/build/lib/a.c").as_deref(), Some("/build/lib/a.c"));
        assert_eq!(of_frame("/build/lib/a.c"), None);
        assert_eq!(of_error("../src/a.c").as_deref(), Some("src/a.c"));
        assert_eq!(of_frame("../src/a.c"), None);
    }
}
