//! The named points between taking a job and its end. In a debug build the fault suite stops the node at any of
//! them; in a release build reaching one does nothing.

/// A point that a job passes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Step {
    Claimed,
    PullRead,
    PolicyRead,
    FilesRead,
    CommentsRead,
    Scored,
    ResultKept,
    MarkerSought,
    LeaseRenewed,
    WriteAllowed,
    ReviewPosted,
    OutdatedHidden,
    CheckRunPosted,
    Ending,
    Ended,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Claimed,
        Self::PullRead,
        Self::PolicyRead,
        Self::FilesRead,
        Self::CommentsRead,
        Self::Scored,
        Self::ResultKept,
        Self::MarkerSought,
        Self::LeaseRenewed,
        Self::WriteAllowed,
        Self::ReviewPosted,
        Self::OutdatedHidden,
        Self::CheckRunPosted,
        Self::Ending,
        Self::Ended,
    ];
}

#[cfg(debug_assertions)]
tokio::task_local! {
    static KILL: (Step, std::sync::Arc<tokio::sync::Notify>);
}

/// Runs `work` until it ends or reaches `step`; there it is dropped, as a killed process is. None if it was.
#[cfg(debug_assertions)]
pub async fn until_killed<F: Future>(step: Step, work: F) -> Option<F::Output> {
    let killed = std::sync::Arc::new(tokio::sync::Notify::new());
    tokio::select! {
        ended = KILL.scope((step, std::sync::Arc::clone(&killed)), work) => Some(ended),
        () = killed.notified() => None,
    }
}

/// Says that a job is at `step`. With `SENTINEL_CRASH_AT` naming it, the process dies there.
#[cfg(debug_assertions)]
pub(crate) async fn reach(step: Step) {
    if std::env::var("SENTINEL_CRASH_AT").is_ok_and(|name| name == format!("{step:?}")) {
        std::process::abort();
    }
    let killed = KILL.try_with(|(at, killed)| (*at == step).then(|| std::sync::Arc::clone(killed)));
    if let Ok(Some(killed)) = killed {
        killed.notify_one();
        std::future::pending::<()>().await;
    }
}

/// Says that a job is at `step`.
#[cfg(not(debug_assertions))]
pub(crate) async fn reach(_step: Step) {}
