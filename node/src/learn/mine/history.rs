//! The mainline of a repository, oldest commit first, one change per commit.
//!
//! It follows first parents and treats a merge as what it brought in. So a pull request is one change, whatever its
//! author repaired along the way, and each commit is compared with the one before it on the mainline.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The largest patch that is read. Nobody reviews a larger one line by line.
const PATCH_MAX_BYTES: usize = 32 << 20;
/// The separators between commits and between the fields of a commit.
const RECORD: u8 = 0x1e;
const FIELD: &str = "\u{1f}";

/// One commit of the mainline.
#[derive(Debug)]
pub struct Commit {
    /// The SHA of the commit.
    pub sha: String,
    /// The time of the commit, in Unix seconds.
    pub time: i64,
    /// The first line of the message; for a merged pull request its title.
    pub subject: String,
    /// The rest of the message.
    pub body: String,
    /// The diff; None if it is too large.
    pub patch: Option<String>,
}

/// A running `git log`.
pub struct History {
    git: Child,
    output: BufReader<ChildStdout>,
    /// The part of the next commit that was read already.
    next: Vec<u8>,
}

impl History {
    /// Starts reading the newest `count` commits of `HEAD`'s mainline.
    ///
    /// # Errors
    /// git is missing, or there is no repository.
    pub fn open(repository: &Path, count: usize) -> Result<Self> {
        let in_repository = || {
            let mut git = Command::new("git");
            git.arg("-C").arg(repository).args(["-c", "core.quotePath=false"]);
            git
        };
        let head = in_repository().args(["rev-parse", "--verify", "--quiet", "HEAD"]).output();
        let head = head.context("starting git: is it installed?")?;
        ensure!(head.status.success(), "{} is not a git repository with a commit", repository.display());
        let mut git = in_repository()
            .args(["log", "--first-parent", "--diff-merges=first-parent", "--reverse"])
            .arg(format!("--max-count={count}"))
            .args([
                "--patch",
                "--unified=3",
                "--find-renames",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
            ])
            .args(["--src-prefix=a/", "--dst-prefix=b/", "--format=%x1e%H%x1f%ct%x1f%s%x1f%b%x1f", "HEAD"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting git")?;
        let mut output = BufReader::new(git.stdout.take().context("git's output")?);
        // What stands before the first commit is nothing.
        output.read_until(RECORD, &mut Vec::new()).context("reading from git")?;
        let mut history = Self { git, output, next: Vec::new() };
        history.next = history.chunk()?.unwrap_or_default();
        Ok(history)
    }

    /// The next commit, or None after the last.
    ///
    /// # Errors
    /// git failed.
    pub fn advance(&mut self) -> Result<Option<Commit>> {
        if self.next.is_empty() {
            ensure!(self.git.wait().context("waiting for git")?.success(), "git log failed");
            return Ok(None);
        }
        let mut whole = std::mem::take(&mut self.next);
        let mut too_large = false;
        while let Some(chunk) = self.chunk()? {
            if begins_a_commit(&chunk) {
                self.next = chunk;
                break;
            }
            // The separator stood inside a patch.
            too_large |= whole.len() + chunk.len() > PATCH_MAX_BYTES;
            if !too_large {
                whole.push(RECORD);
                whole.extend(chunk);
            }
        }
        let text = String::from_utf8_lossy(&whole);
        let mut fields = text.splitn(5, FIELD);
        let mut field = || fields.next().context("git log printed another format than it was asked for");
        let (sha, time, subject, body, patch) = (field()?, field()?, field()?, field()?, field()?);
        let (subject, body) = match body.trim().split_once('\n') {
            // GitHub's merge commits: the title of the pull request is the first line of the body.
            _ if !subject.starts_with("Merge pull request #") => (subject, body),
            Some((title, rest)) => (title, rest),
            None => (body.trim(), ""),
        };
        Ok(Some(Commit {
            sha: sha.to_owned(),
            time: time.parse().context("a commit's time")?,
            subject: subject.to_owned(),
            body: body.to_owned(),
            patch: (!too_large && patch.len() <= PATCH_MAX_BYTES).then(|| patch.to_owned()),
        }))
    }

    fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let mut chunk = Vec::new();
        let limit = 2 * PATCH_MAX_BYTES as u64;
        self.output.by_ref().take(limit).read_until(RECORD, &mut chunk).context("reading from git")?;
        if chunk.is_empty() {
            return Ok(None);
        }
        if chunk.last() == Some(&RECORD) {
            chunk.pop();
        }
        Ok(Some(chunk))
    }
}

impl Drop for History {
    fn drop(&mut self) {
        // Where it was not read to its end.
        let _ = self.git.kill();
        let _ = self.git.wait();
    }
}

fn begins_a_commit(chunk: &[u8]) -> bool {
    let hash = chunk.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    hash >= 40 && chunk.get(hash) == FIELD.as_bytes().first()
}
