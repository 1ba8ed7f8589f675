//! When a server is told to stop.

use anyhow::{Context, Result};

/// Completes on Ctrl-C or, where there is one, SIGTERM.
///
/// Both are heard from this call on, not from the first poll: who was told where this listens may end it.
///
/// # Errors
/// The system takes no handler.
#[cfg(unix)]
pub(super) fn stopped() -> Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).context("listening for signals");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}

/// Completes on Ctrl-C.
///
/// # Errors
/// The system takes no handler.
#[cfg(windows)]
pub(super) fn stopped() -> Result<impl Future<Output = ()> + Send> {
    let mut interrupt = tokio::signal::windows::ctrl_c().context("listening for signals")?;
    Ok(async move {
        let _ = interrupt.recv().await;
    })
}
