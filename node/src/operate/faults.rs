//! Named steps between taking a job and ending it.
//!
//! In a debug build, the fault suite stops the node at any of them. In a release build, reaching a step does nothing.

/// A step that a job passes. The order is the order of the work.
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
    /// Every named step of a job.
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
pub use hooks::{interrupted_at, panicking_at, until_killed};

#[cfg(debug_assertions)]
mod hooks {
    use super::Step;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::Notify;

    tokio::task_local! {
        static HOOK: Arc<Hook>;
        static PANIC: Step;
    }

    /// A step at which work stops until it is resumed, the first time only.
    struct Hook {
        step: Step,
        fired: AtomicBool,
        reached: Notify,
        resume: Notify,
    }

    impl Hook {
        fn at(step: Step) -> Arc<Self> {
            let (fired, reached, resume) = (AtomicBool::new(false), Notify::new(), Notify::new());
            Arc::new(Self { step, fired, reached, resume })
        }
    }

    /// Runs `work` until it ends or reaches `step`. At the step it is dropped, like a killed process, and the result is
    /// None.
    pub async fn until_killed<F: Future>(step: Step, work: F) -> Option<F::Output> {
        let hook = Hook::at(step);
        tokio::select! {
            ended = HOOK.scope(Arc::clone(&hook), work) => Some(ended),
            () = hook.reached.notified() => None,
        }
    }

    /// Runs `work` to its end; when it reaches `step`, `interruption` happens while it waits.
    pub async fn interrupted_at<F: Future>(
        step: Step,
        work: F,
        interruption: impl Future<Output = ()>,
    ) -> F::Output {
        let hook = Hook::at(step);
        let mut work = std::pin::pin!(HOOK.scope(Arc::clone(&hook), work));
        tokio::select! {
            ended = &mut work => return ended,
            () = hook.reached.notified() => {}
        }
        interruption.await;
        hook.resume.notify_one();
        work.await
    }

    /// Runs `work`, which panics when it reaches `step`.
    pub async fn panicking_at<F: Future>(step: Step, work: F) -> F::Output {
        PANIC.scope(step, work).await
    }

    pub(super) async fn reach(step: Step) {
        assert!(!PANIC.try_with(|at| *at == step).unwrap_or(false), "the suite asked for a panic");
        if std::env::var("SENTINEL_CRASH_AT").is_ok_and(|name| name == format!("{step:?}")) {
            std::process::abort();
        }
        if let Ok(hook) = HOOK.try_with(Arc::clone)
            && hook.step == step
            && !hook.fired.swap(true, Ordering::Relaxed)
        {
            hook.reached.notify_one();
            hook.resume.notified().await;
        }
    }
}

/// Marks that a job is at `step`. In a debug build the process dies here if `SENTINEL_CRASH_AT` names the step.
#[cfg(debug_assertions)]
pub(crate) async fn reach(step: Step) {
    hooks::reach(step).await;
}

/// Marks that a job is at `step`.
#[cfg(not(debug_assertions))]
pub(crate) async fn reach(_step: Step) {}
