//! What is said on a pull request: reviews, inline comments, the conversation, and reactions.

use super::{Access, JobError, Turn};
use reqwest::Method;
use sentinel_shared::review::Finding;
use serde::Deserialize;
use serde_json::json;

/// The largest number of pages of reactions to one comment that are read.
const REACTION_PAGES: usize = 3;

/// A review or comment that we posted earlier.
#[derive(Debug, Clone, Deserialize)]
pub struct Said {
    /// The id in the REST API.
    pub id: u64,
    /// The id in the GraphQL API.
    #[serde(default)]
    pub node_id: String,
    /// The text, in Markdown.
    pub body: Option<String>,
    /// The author; null if the account is gone.
    pub user: Option<Author>,
    /// The address of its page.
    #[serde(default)]
    pub html_url: String,
    /// The line of the comment; null if that line is gone. Reviews have none.
    pub line: Option<u32>,
    /// The file of the comment. Reviews have none.
    #[serde(default)]
    pub path: String,
    /// The reactions to the comment. Reviews have none.
    #[serde(default)]
    pub reactions: Reactions,
}

/// How many reactions there are.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Reactions {
    /// The number of reactions of all kinds.
    pub total_count: u32,
}

/// The reaction of one person.
#[derive(Debug, Clone, Deserialize)]
pub struct Reaction {
    /// The kind of reaction: `+1`, `-1`, `heart` and so on.
    pub content: String,
    /// The person; null if the account is gone.
    pub user: Option<Author>,
}

/// The author of a comment or reaction.
#[derive(Debug, Clone, Deserialize)]
pub struct Author {
    /// Login name; an App's ends in `[bot]`.
    pub login: String,
}

impl Access<'_> {
    /// Our reviews of a pull request.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn own_reviews(&self, number: u64) -> Result<Vec<Said>, JobError> {
        self.own(&format!("/repos/{}/pulls/{number}/reviews", self.repository)).await
    }

    /// Our inline comments on a pull request.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn own_comments(&self, number: u64) -> Result<Vec<Said>, JobError> {
        self.own(&format!("/repos/{}/pulls/{number}/comments", self.repository)).await
    }

    /// The reactions to an inline comment.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn reactions(&self, comment: u64) -> Result<Vec<Reaction>, JobError> {
        let path = format!("/repos/{}/pulls/comments/{comment}/reactions", self.repository);
        self.pages(&path, REACTION_PAGES).await
    }

    /// Our comments in the conversation of a pull request.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn own_answers(&self, number: u64) -> Result<Vec<Said>, JobError> {
        self.own(&format!("/repos/{}/issues/{number}/comments", self.repository)).await
    }

    /// Posts one review with all its comments, or nothing of it, and returns the address of its page.
    ///
    /// # Errors
    /// [`JobError::Unprocessable`] when one of the lines is not in the diff, and does not say which.
    pub async fn post_review(
        &self,
        turn: Turn,
        number: u64,
        head_sha: &str,
        summary: &str,
        comments: &[(&Finding, String)],
    ) -> Result<String, JobError> {
        let comment = |(finding, body): &(&Finding, String)| json!({ "path": finding.path, "line": finding.line, "side": "RIGHT", "body": body });
        let body = json!({
            "commit_id": head_sha,
            "event": "COMMENT",
            "body": summary,
            "comments": comments.iter().map(comment).collect::<Vec<_>>(),
        });
        let posted: Said = self
            .write(turn, Method::POST, &format!("/repos/{}/pulls/{number}/reviews", self.repository), &body)
            .await?;
        Ok(posted.html_url)
    }

    /// Posts a comment in the conversation and returns the address of its page.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn post_answer(&self, turn: Turn, number: u64, body: &str) -> Result<String, JobError> {
        let path = format!("/repos/{}/issues/{number}/comments", self.repository);
        let posted: Said = self.write(turn, Method::POST, &path, &json!({ "body": body })).await?;
        Ok(posted.html_url)
    }

    /// What this client's account wrote at `path`, of the newest that are looked through.
    async fn own(&self, path: &str) -> Result<Vec<Said>, JobError> {
        let login = self.github.login().await?;
        let all: Vec<Said> = self.newest_pages(path).await?;
        Ok(all
            .into_iter()
            .filter(|said| said.user.as_ref().is_some_and(|user| user.login == login))
            .collect())
    }
}
