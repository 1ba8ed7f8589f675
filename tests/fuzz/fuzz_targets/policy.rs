//! Policies: any text in `.github/sentinel.yml` becomes a policy or a sentence that says why not.

#![no_main]

#[path = "../../../node/src/review/policy.rs"]
mod policy;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|yaml: &str| {
    if let Err(error) = policy::parse(yaml) {
        assert!(!error.to_string().is_empty());
    }
});
