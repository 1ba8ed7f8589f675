//! A pull request: what it is now, its files, and files of its repository.

use super::{Access, JobError};
use sentinel_shared::github::PullRequest;
use serde::Deserialize;

/// The largest number of pages of files. GitHub lists at most 3,000 files of a pull request.
const FILE_PAGES: usize = 30;

/// One file of `GET /repos/{owner}/{repo}/pulls/{number}/files`.
#[derive(Debug, Deserialize)]
pub struct PullFile {
    /// The path in the new tree.
    pub filename: String,
    /// `added`, `removed`, `modified`, `renamed`, `copied`, `changed` or `unchanged`.
    pub status: String,
    /// The number of added and removed lines.
    pub changes: u64,
    /// The patch; missing for binary files and for large diffs.
    pub patch: Option<String>,
}

impl Access<'_> {
    /// The pull request as it is now.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn pull(&self, number: u64) -> Result<PullRequest, JobError> {
        self.get(&format!("/repos/{}/pulls/{number}", self.repository)).await
    }

    /// The open pull request that a commit is the head of.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn pull_of_commit(&self, head_sha: &str) -> Result<Option<PullRequest>, JobError> {
        let pulls: Vec<PullRequest> =
            self.pages(&format!("/repos/{}/commits/{head_sha}/pulls", self.repository), 1).await?;
        let is_its_head =
            |pull: &PullRequest| pull.head.sha == head_sha && pull.state.as_deref() == Some("open");
        Ok(pulls.into_iter().find(is_its_head))
    }

    /// The files it changes, as many as GitHub lists.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn files(&self, number: u64) -> Result<Vec<PullFile>, JobError> {
        self.pages(&format!("/repos/{}/pulls/{number}/files", self.repository), FILE_PAGES).await
    }

    /// Reads a small text file at a commit; None if there is none.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn text_file(&self, path: &str, commit: &str) -> Result<Option<String>, JobError> {
        #[derive(Deserialize)]
        struct Content {
            content: Option<String>,
        }
        let url = format!("/repos/{}/contents/{path}?ref={commit}", self.repository);
        let content = match self.get::<Content>(&url).await {
            Err(JobError::NotFound(_)) => return Ok(None),
            answer => answer?.content,
        };
        let unreadable = || JobError::Refused(format!("{path} is no text file"));
        let encoded: String = content.ok_or_else(unreadable)?.split_ascii_whitespace().collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded);
        bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(Some).ok_or_else(unreadable)
    }
}
