//! Gives verdicts that were stored before there was a memory of failures their place in it.

use crate::app::App;
use sentinel_shared::store::history::backfill;
use worker::{console_error, console_log};

/// Remembers some of them. Where there are none, that is one small read.
pub(crate) async fn remember(app: &App) {
    let outcome = async {
        let unremembered = app.database.ask(backfill::next()).await?;
        match unremembered.remember() {
            Some(write) => app.database.ask(write).await.map(|()| unremembered.count()),
            None => Ok(0),
        }
    };
    match outcome.await {
        Ok(0) => {}
        Ok(count) => console_log!("memory.remembered: {count} verdicts from before"),
        // The next event goes on from the same place.
        Err(error) => console_error!("memory.failed: {error}"),
    }
}
