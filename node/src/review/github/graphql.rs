//! GraphQL, for what REST can't do: whether a comment is folded, and folding it.

use super::{Access, Answered, JobError, Said, Turn, parse};
use reqwest::Method;
use sentinel_shared::store::pauses::Reason;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::time::Duration;

/// The wait if GraphQL limits us. It names no time, and GitHub asks for at least a minute.
const GRAPHQL_LIMITED_FOR: Duration = Duration::from_secs(60);
/// The number of comments that one query asks about. GitHub accepts a hundred ids.
const FOLDED_AT_ONCE: usize = 100;

impl Access<'_> {
    /// Those of `comments` that are not folded yet, in the same order.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn not_folded<'c>(&self, comments: &[&'c Said]) -> Result<Vec<&'c Said>, JobError> {
        #[derive(Deserialize)]
        struct Nodes {
            nodes: Vec<Option<Node>>,
        }
        #[derive(Deserialize)]
        struct Node {
            id: Option<String>,
            #[serde(rename = "isMinimized", default)]
            is_minimized: bool,
        }
        let query =
            "query($ids: [ID!]!) { nodes(ids: $ids) { ... on PullRequestReviewComment { id isMinimized } } }";
        let mut open = Vec::new();
        for some in comments.chunks(FOLDED_AT_ONCE) {
            let ids: Vec<&str> = some.iter().map(|comment| comment.node_id.as_str()).collect();
            let body = json!({ "query": query, "variables": { "ids": ids } });
            let answer = self.call(Method::POST, "/graphql", Some(&body)).await?;
            let found: Nodes = graphql(&answer)?;
            let folded: HashSet<String> = found
                .nodes
                .into_iter()
                .flatten()
                .filter(|node| node.is_minimized)
                .filter_map(|node| node.id)
                .collect();
            open.extend(some.iter().copied().filter(|comment| !folded.contains(&comment.node_id)));
        }
        Ok(open)
    }

    /// Folds a comment of ours as outdated.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn hide_outdated(&self, turn: Turn, comment: &Said) -> Result<(), JobError> {
        let query = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) \
                     { minimizedComment { isMinimized } } }";
        let body = json!({ "query": query, "variables": { "id": comment.node_id } });
        let answer = self.write_answered(turn, Method::POST, "/graphql", &body).await?;
        graphql::<Json>(&answer).map(drop)
    }
}

/// The `data` of an answer of GraphQL, which says with 200 that it can't
/// (<https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>).
fn graphql<T: DeserializeOwned>(answer: &Answered) -> Result<T, JobError> {
    #[derive(Deserialize)]
    struct Graph {
        #[serde(default)]
        data: Json,
        #[serde(default)]
        errors: Vec<Json>,
    }
    let graph: Graph = parse(&answer.body)?;
    if let Some(error) = graph.errors.first() {
        let what = format!("GraphQL: {}", error["message"].as_str().unwrap_or("no reason given"));
        if error["type"] == "RATE_LIMITED" {
            return Err(JobError::Elsewhere {
                reason: Some(Reason::Limited),
                what,
                after: Some(GRAPHQL_LIMITED_FOR),
            });
        }
        return Err(JobError::Unprocessable(what));
    }
    serde_json::from_value(graph.data)
        .map_err(|_| JobError::Failed("GraphQL answered in another shape".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_says_with_200_that_it_limits_us() {
        let of = |body: &str| {
            let answer = Answered { body: body.into(), last_page: None, next: None };
            graphql::<Json>(&answer).map_err(|error| (error.reason(), error.is_passing()))
        };
        assert_eq!(of(r#"{"data":{"a":1}}"#), Ok(json!({ "a": 1 })));
        let limited = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
        assert_eq!(of(limited), Err((Some(Reason::Limited), true)));
        let unknown = r#"{"data":null,"errors":[{"type":"NOT_FOUND","message":"Could not resolve"}]}"#;
        assert_eq!(of(unknown), Err((None, false)));
    }
}
