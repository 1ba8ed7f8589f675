//! Reactions to posted comments become feedback: what people think of a finding, in the place where they read it.

use super::Reviewer;
use crate::database::now;
use crate::review::github::JobError;
use sentinel_shared::feedback::{self, Opinion};
use sentinel_shared::review::Finding;
use sentinel_shared::review::render;
use sentinel_shared::store;
use sentinel_shared::store::reactions::{self, Posted};
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

impl Reviewer {
    /// Reads the reactions to one posted review, if one is due. Returns whether there was one.
    ///
    /// Where GitHub does not answer, the review is looked at again when it is due the next time.
    ///
    /// # Errors
    /// [`sentinel_shared::Error::StoreUnavailable`]: the database can't be reached.
    pub async fn poll_reactions_once(&self) -> sentinel_shared::Result<bool> {
        let posted = self.store.ask(reactions::hear(self.github.identity(), now())).await?;
        let Some(posted) = posted else { return Ok(false) };
        match self.hear(&posted).await {
            Ok(0) => {}
            Ok(opinions) => info!(key = posted.key, opinions, "reactions.heard"),
            Err(error) => {
                warn!(key = posted.key, "reactions.not_heard: {}", error.what());
                self.note(posted.installation_id, &error).await;
            }
        }
        Ok(true)
    }

    /// Stores what people think of each finding, and returns the number of opinions.
    async fn hear(&self, posted: &Posted) -> Result<usize, JobError> {
        if posted.findings().is_empty() {
            return Ok(0);
        }
        let of_fingerprint: BTreeMap<String, &Finding> =
            posted.findings().iter().map(|finding| (finding.fingerprint(), finding)).collect();
        let access = self.github.access(&posted.repository, posted.installation_id).await?;
        let mut heard = 0;
        for comment in access.own_comments(posted.number).await? {
            let fingerprint = comment.body.as_deref().and_then(render::fingerprint_in);
            let Some(finding) = fingerprint.and_then(|known| of_fingerprint.get(known)) else { continue };
            if comment.reactions.total_count == 0 {
                continue;
            }
            let mut said: BTreeMap<String, BTreeSet<Opinion>> = BTreeMap::new();
            for reaction in access.reactions(comment.id).await? {
                let author = feedback::author(reaction.user.as_ref().map(|user| user.login.as_str()));
                if let (Ok(author), Some(opinion)) = (author, Opinion::of_reaction(&reaction.content)) {
                    said.entry(author).or_default().insert(opinion);
                }
            }
            // Who says both says nothing.
            for (author, opinions) in said.iter().filter(|(_, opinions)| opinions.len() == 1) {
                for opinion in opinions {
                    let row = store::feedback::of_finding(&posted.key, finding, *opinion, author, now());
                    self.store.ask(row).await?;
                    heard += 1;
                }
            }
        }
        Ok(heard)
    }
}
