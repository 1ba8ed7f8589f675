//! Secrets: a secret is removed whatever surrounds it, a second pass changes nothing, and nothing else makes a line
//! longer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::redact::redact;

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

fuzz_target!(|line: &str| {
    let once = redact(line).into_owned();
    assert_eq!(redact(&once), once, "{line:?}");
    let middle = (0..=line.len() / 2).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = line.split_at(middle);
    let planted = format!("{before}{TOKEN}{after}");
    assert!(!redact(&planted).contains(TOKEN), "{planted:?}");
});
