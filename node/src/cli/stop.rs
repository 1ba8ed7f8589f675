//! Waits for the signal that tells a server to stop.

use anyhow::{Context, Result};

/// Completes on Ctrl-C or, where it exists, SIGTERM.
///
/// The handlers are installed by this call and not by the first poll, so that a program that read the printed address
/// can stop the server at once.
///
/// # Errors
/// The system refuses the handler.
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
/// The system refuses the handler.
#[cfg(windows)]
pub(super) fn stopped() -> Result<impl Future<Output = ()> + Send> {
    let mut interrupt = tokio::signal::windows::ctrl_c().context("listening for signals")?;
    Ok(async move {
        let _ = interrupt.recv().await;
    })
}
