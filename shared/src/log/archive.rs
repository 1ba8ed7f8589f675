//! Which files of an archive or a folder hold logs, and of which jobs and steps, by their names alone.
//!
//! GitHub's archive of a run has `<number>_<job>.txt` at its root, and `<job>/<number>_<step>.txt` for the steps
//! (<https://docs.github.com/rest/actions/workflow-runs#download-workflow-run-logs>). The names are never used as paths.

use serde::Serialize;
use std::collections::BTreeMap;

/// The largest number of files that are read. A run of GitHub Actions has at most 256 jobs in a matrix.
pub const FILES_MAX: usize = 2000;

/// A log in one or several files.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The name of the job, if the file's name tells it.
    pub job: Option<String>,
    /// The files, in order.
    pub parts: Vec<Part>,
}

/// A file of a log.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which of the names it is.
    pub at: usize,
    /// The name of the step, if the file's name tells it.
    pub step: Option<String>,
}

/// The logs among files with these names, `/` between folders. Files at the root hold whole jobs; if there are none,
/// each folder is a job and its files are steps.
#[must_use]
pub fn logs(names: &[String]) -> Vec<Log> {
    let mut files: Vec<(usize, Vec<&str>)> = names
        .iter()
        .enumerate()
        .filter(|(_, name)| is_log(name))
        .map(|(at, name)| (at, parts(name)))
        .collect();
    files.truncate(FILES_MAX);
    without_outer_folder(&mut files);
    let mut whole: Vec<_> = files.iter().filter(|(_, path)| path.len() == 1).collect();
    if !whole.is_empty() {
        whole.sort_by_key(|(_, path)| numbered(path[0]));
        return whole
            .into_iter()
            .map(|(at, path)| Log { job: job(path[0]), parts: vec![Part { at: *at, step: None }] })
            .collect();
    }
    let mut folders: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (at, path) in &files {
        // What the runner says about itself.
        if let [folder, .., file] = path.as_slice()
            && *file != "system.txt"
        {
            folders.entry(folder).or_default().push((*at, file));
        }
    }
    folders
        .into_iter()
        .map(|(folder, mut files)| {
            files.sort_by_key(|(_, file)| numbered(file));
            let parts = files.into_iter().map(|(at, file)| Part { at, step: job(file) }).collect();
            Log { job: Some(folder.to_owned()), parts }
        })
        .collect()
}

fn is_log(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    let is_hidden = file.starts_with('.') || name.starts_with("__MACOSX/");
    let extension = file.strip_suffix(".gz").unwrap_or(file).rsplit_once('.').map(|(_, extension)| extension);
    !is_hidden
        && extension.is_some_and(|extension| {
            ["txt", "log", "out"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        })
}

fn parts(name: &str) -> Vec<&str> {
    name.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}

/// An archive that was unpacked and packed again lies in a folder. GitHub's own are called `logs_<id>`.
fn without_outer_folder(files: &mut [(usize, Vec<&str>)]) {
    let Some(outer) = files.first().and_then(|(_, path)| path.first().copied()) else { return };
    let is_outer = files.iter().all(|(_, path)| path.len() > 1 && path[0] == outer)
        && (outer.starts_with("logs_") || files.iter().any(|(_, path)| path.len() > 2));
    if is_outer {
        for (_, path) in files {
            path.remove(0);
        }
    }
}

/// The order of the files: by the number before the name, then by the name.
fn numbered(file: &str) -> (i64, &str) {
    let number = file.split_once('_').and_then(|(number, _)| number.parse().ok());
    (number.unwrap_or(i64::MAX), file)
}

/// `0_build.txt` holds the job `build`. A file without a number has the name that somebody gave it.
fn job(file: &str) -> Option<String> {
    let (number, name) = file.split_once('_')?;
    number.parse::<i64>().ok()?;
    Some(name.rsplit_once('.').map_or(name, |(name, _)| name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a job, with the place and the step of each of its files.
    type Told = (Option<String>, Vec<(usize, Option<String>)>);

    fn told(names: &[&str]) -> Vec<Told> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parts = |log: Log| log.parts.into_iter().map(|part| (part.at, part.step)).collect();
        logs(&names).into_iter().map(|log| (log.job.clone(), parts(log))).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_files_at_the_root_are_the_jobs_in_their_order() {
        let names =
            ["build/1_Set up job.txt", "10_lint.txt", "2_build (x, y).txt", "build/system.txt", "readme.md"];
        assert_eq!(told(&names), [(some("build (x, y)"), vec![(2, None)]), (some("lint"), vec![(1, None)])]);
    }

    #[test]
    fn without_files_at_the_root_the_folders_are_jobs_and_their_files_steps() {
        let names = ["build/10_Test.txt", "build/2_Run npm ci.txt", "build/system.txt", "lint/1_Lint.txt"];
        let build = (some("build"), vec![(1, some("Run npm ci")), (0, some("Test"))]);
        assert_eq!(told(&names), [build, (some("lint"), vec![(3, some("Lint"))])]);
        assert_eq!(told(&["logs_7/0_build.txt", "logs_7/build/1_x.txt"]), [(some("build"), vec![(0, None)])]);
        assert_eq!(told(&["logs_7/0_build.txt"]), [(some("build"), vec![(0, None)])]);
    }

    #[test]
    fn other_files_are_whole_logs_without_a_name() {
        let names = ["a.log", "b.log.gz", ".hidden.log", "__MACOSX/a.log", "picture.png"];
        assert_eq!(told(&names), [(None, vec![(0, None)]), (None, vec![(1, None)])]);
        assert_eq!(told(&[]), []);
    }
}
