//! Facts: whatever the lines are, what is told of them is bounded, distinct and visible, and holds no secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::facts::{Facts, MISSING_MAX, PLACES_MAX, TESTS_MAX, TEXT_MAX};

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

fuzz_target!(|log: &str| {
    let facts = Facts::of(log.lines());
    assert!(facts.failing_tests.len() <= TESTS_MAX);
    assert!(facts.failing_tests.len() <= facts.failing_tests_total as usize);
    assert!(facts.places.len() <= PLACES_MAX && facts.missing.len() <= MISSING_MAX);
    let names = facts.failing_tests.iter().map(|test| &test.name);
    let names = names.chain(facts.missing.iter().map(|thing| &thing.name));
    let told = facts.places.iter().flat_map(|place| [Some(&place.path), place.message.as_ref()]);
    for text in names.chain(told.flatten()) {
        assert!(!text.is_empty() && text.chars().count() <= TEXT_MAX, "{text:?}");
    }
    let document = serde_json::to_string(&facts).expect("facts are data");
    assert_eq!(serde_json::from_str::<Facts>(&document).expect("facts are data"), facts);
    // A secret anywhere in the lines is not told.
    let middle = (0..=log.len() / 2).rev().find(|at| log.is_char_boundary(*at)).unwrap_or(0);
    let planted = format!("{} {TOKEN} {}", &log[..middle], &log[middle..]);
    let document = serde_json::to_string(&Facts::of(planted.lines())).expect("facts are data");
    assert!(!document.contains(TOKEN), "{planted:?}");
});
