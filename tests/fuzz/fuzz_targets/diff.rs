//! Diffs: any text is read or refused, and cutting and planning lose nothing of what is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::diff::{parse, parse_patch};
use sentinel_shared::review::plan::{ChangedFile, Plan};
use sentinel_shared::review::policy::Policy;

fuzz_target!(|text: &str| {
    for hunk in parse_patch(text).unwrap_or_default() {
        let printed = hunk.to_string();
        assert_eq!(parse_patch(&printed).expect("what was printed")[0].lines, hunk.lines);
        let pieces = hunk.split(40, |line| line.text.len());
        let lines: usize = pieces.iter().map(|piece| piece.lines.len()).sum();
        assert_eq!(lines, hunk.lines.len());
    }
    if let Ok(files) = parse(text) {
        let plan = Plan::new(files.iter().map(ChangedFile::of_diff).collect(), 0, &Policy::default());
        assert!(plan.receipt(&vec![None; plan.hunks.len()]).is_balanced());
    }
});
