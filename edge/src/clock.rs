//! The runtime's clock.

use worker::Date;

/// Unix seconds. The runtime's clock stands still between I/O, which is fine for leases and timestamps.
pub(crate) fn now() -> i64 {
    (Date::now().as_millis() / 1000) as i64
}
