//! Policies: any text in `.github/sentinel.yml` becomes a policy or a sentence that says why not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::policy;

fuzz_target!(|yaml: &str| {
    if let Err(error) = policy::review(yaml) {
        assert!(!error.to_string().is_empty());
    }
    // Whatever could be read can be matched.
    for issue in policy::failures(yaml).known {
        assert!(issue.pattern.matcher().is_ok());
    }
});
