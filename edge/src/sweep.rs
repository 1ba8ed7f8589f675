//! Takes up deliveries that wait, once a minute.

use crate::app::App;
use crate::clock::now;
use crate::evidence::{Budget, CALLS_MIN};
use crate::failed_run::{Done, STORE_CALLS, Terms, work};
use futures_util::future::join_all;
use sentinel_shared::store::Query;
use sentinel_shared::store::deliveries::{self, Claimed};
use sentinel_shared::store::models::ActiveModel;
use worker::console_error;

/// The number of deliveries that are worked on at once. Each takes a connection or two at a time, of the six that a worker
/// has.
const SWEEP_AT_ONCE: usize = 3;
/// The seconds after which a sweep takes up no more, so that it is over when the next one begins.
const SWEEP_SECONDS: i64 = 25;

type TakeUp = Query<(Vec<Claimed>, Option<ActiveModel>)>;

/// Takes up the deliveries that wait or were left half done, as many as one scheduled event can do with `calls` calls, and
/// no more: what is taken up is leased, and must be done when the lease ends.
///
/// One goes ahead. Where GitHub gives it nothing, the others do not ask in this sweep, since calls while GitHub limits us
/// make it worse; they get their verdict without the log when they have waited for long enough. One that needs more calls
/// than are left is the first of the next sweep.
pub(crate) async fn sweep(app: &App, calls: usize) {
    let started = now();
    let (mut calls_left, mut trouble, mut count) = (calls, None, 1);
    let mut take_up = deliveries::sweep(count, started, app.config.retention_days);
    loop {
        // One call takes them up.
        let calls_each = calls_left.saturating_sub(1 + count * STORE_CALLS);
        let terms = Terms { trouble, budget: Budget::shared(calls_each, count) };
        let Some(done) = sweep_once(app, take_up, terms).await else { return };
        calls_left = calls_left.saturating_sub(done.calls);
        trouble = trouble.or(done.trouble);
        let cost = STORE_CALLS + if trouble.is_some() { 0 } else { CALLS_MIN };
        count = (calls_left.saturating_sub(1) / cost).min(SWEEP_AT_ONCE);
        if count == 0 || done.needs_more || now() - started >= SWEEP_SECONDS {
            return;
        }
        take_up = deliveries::take_up(count, now());
    }
}

/// Takes up some deliveries and works on them at once; None if there was nothing.
async fn sweep_once(app: &App, take_up: TakeUp, terms: Terms) -> Option<Done> {
    let (claimed, active) = match app.database.ask(take_up).await {
        Ok((claimed, active)) if !claimed.is_empty() => (claimed, active),
        Ok(_) => return None,
        Err(error) => {
            console_error!("sweep.failed: {error}");
            return None;
        }
    };
    let each = claimed.iter().map(|delivery| work(app, active.as_ref(), delivery, terms));
    let mut sum = Done { calls: 1, ..Done::default() };
    for done in join_all(each).await {
        sum.calls += done.calls;
        sum.trouble = sum.trouble.or(done.trouble);
        sum.needs_more |= done.needs_more;
    }
    Some(sum)
}
