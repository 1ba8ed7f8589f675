//! What GitHub tells of a pull request: whose head a commit is, and which files it changes.

use super::CommitSha;
use serde::Deserialize;

/// The largest number of pages of files that are read, with [`FILES_A_PAGE`] files each. A person reads no larger change, and
/// each page is a call.
pub const FILE_PAGES: u32 = 3;
/// The files on a page. GitHub gives no more
/// (<https://docs.github.com/rest/pulls/pulls#list-pull-requests-files>).
pub const FILES_A_PAGE: usize = 100;

/// A file of `GET /repos/{owner}/{repo}/pulls/{number}/files`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ChangedFile {
    /// The path in the new tree; of a removed file, the old one.
    pub filename: String,
    /// The path before the file was renamed.
    pub previous_filename: Option<String>,
    /// The hunks; missing for binary files and for large diffs.
    pub patch: Option<String>,
    /// The address of the file at the commit of the list, which is its `ref`.
    pub contents_url: Option<String>,
}

/// The files that a pull request changes, as far as they were read.
#[derive(Debug, Clone, Default)]
pub struct ChangedFiles {
    /// The files in GitHub's order, at most [`FILES_A_PAGE`] for each of [`FILE_PAGES`] pages.
    pub files: Vec<ChangedFile>,
    /// Whether these are all files.
    pub is_whole: bool,
}

/// A pull request of `GET /repos/{owner}/{repo}/commits/{sha}/pulls`.
#[derive(Debug, Clone, Deserialize)]
pub struct PullOfCommit {
    /// Unique in its repository.
    pub number: u64,
    /// `open` or `closed`.
    pub state: Option<String>,
    /// The branch with the changes.
    pub head: PullSide,
    /// The branch that the changes go into.
    pub base: PullSide,
}

/// One side of a pull request.
#[derive(Debug, Clone, Deserialize)]
pub struct PullSide {
    /// The name of the branch.
    #[serde(rename = "ref")]
    pub branch: Option<String>,
    /// The SHA of the branch's latest commit.
    pub sha: String,
}

// === impl ChangedFiles ===

impl ChangedFiles {
    /// Takes the next page. Answers whether there is another one.
    pub fn push(&mut self, page: Vec<ChangedFile>) -> bool {
        let is_full = page.len() >= FILES_A_PAGE;
        self.files.extend(page.into_iter().take(FILES_A_PAGE));
        self.is_whole = !is_full;
        is_full
    }

    /// Whether the list is that of `commit`. GitHub lists the files of a pull request as it is now, and a push after the run
    /// changed them.
    #[must_use]
    pub fn is_of(&self, commit: &str) -> bool {
        let mut commits = self.files.iter().filter_map(ChangedFile::commit).peekable();
        commits.peek().is_some() && commits.all(|of_file| of_file == commit)
    }
}

// === impl ChangedFile ===

impl ChangedFile {
    fn commit(&self) -> Option<&str> {
        let (_, commit) = self.contents_url.as_deref()?.rsplit_once("?ref=")?;
        CommitSha::parse(commit).is_ok().then_some(commit)
    }
}

// === impl PullOfCommit ===

impl PullOfCommit {
    /// The pull request whose head is `commit`, an open one rather than a closed one.
    #[must_use]
    pub fn with_head(pulls: Vec<Self>, commit: &str) -> Option<Self> {
        let of_head = pulls.into_iter().filter(|pull| pull.head.sha == commit);
        of_head.min_by_key(|pull| pull.state.as_deref() != Some("open"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, commit: &str) -> ChangedFile {
        let url = format!("https://api.github.com/repos/o/r/contents/{name}?ref={commit}");
        ChangedFile { filename: name.to_owned(), contents_url: Some(url), ..ChangedFile::default() }
    }

    #[test]
    fn a_list_is_whole_when_its_last_page_is_not_full() {
        let page = |count: usize| vec![file("a", "f"); count];
        let mut files = ChangedFiles::default();
        assert!(files.push(page(100)) && !files.is_whole, "there may be another page");
        assert!(!files.push(page(99)) && files.is_whole);
        let mut none = ChangedFiles::default();
        assert!(!none.push(Vec::new()) && none.is_whole);
    }

    #[test]
    fn a_list_is_of_a_commit_if_all_its_files_are() {
        let (run, later) = ("a".repeat(40), "b".repeat(40));
        let of = |commits: &[&str]| ChangedFiles {
            files: commits.iter().map(|commit| file("a", commit)).collect(),
            is_whole: true,
        };
        assert!(of(&[&run, &run]).is_of(&run));
        assert!(!of(&[&run, &later]).is_of(&run));
        assert!(!of(&[&later]).is_of(&run));
        assert!(!ChangedFiles::default().is_of(&run));
    }

    #[test]
    fn of_several_pull_requests_of_a_commit_the_open_one_is_meant() {
        let pull = |number, state: &str, sha: &str| PullOfCommit {
            number,
            state: Some(state.to_owned()),
            head: PullSide { branch: None, sha: sha.to_owned() },
            base: PullSide { branch: Some("main".to_owned()), sha: "0".to_owned() },
        };
        let pulls = vec![pull(1, "closed", "a"), pull(2, "open", "a"), pull(3, "open", "b")];
        let number = |pulls: Vec<PullOfCommit>| PullOfCommit::with_head(pulls, "a").map(|pull| pull.number);
        assert_eq!(number(pulls.clone()), Some(2));
        assert_eq!(number(pulls[..1].to_vec()), Some(1));
        assert_eq!(number(pulls[2..].to_vec()), None);
    }
}
