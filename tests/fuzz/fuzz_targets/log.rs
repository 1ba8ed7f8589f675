//! Logs of every format: jobs, steps and lines are the same in whatever pieces the stream arrives, every line is
//! counted, and what is held of it is bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::excerpt::{EXCERPT_LINES, JOBS_MAX, Jobs};
use sentinel_shared::log::{LINE_BYTES, LogLine, NAME_CHARS, Reader};

fuzz_target!(|log: &[u8]| {
    let piece = 1 + usize::from(log.first().copied().unwrap_or(0));
    let mut lines = 0;
    let mut sink = |line: LogLine<'_>| {
        lines += 1;
        assert_eq!(line.number, lines);
        assert!(line.text.len() <= LINE_BYTES + 1);
        for name in [line.job, line.step].into_iter().flatten() {
            assert!(!name.is_empty() && name.chars().count() <= NAME_CHARS && !name.contains(char::is_control));
        }
    };
    let mut reader = Reader::new();
    log.chunks(piece).for_each(|bytes| reader.push(bytes, &mut sink));
    reader.finish(&mut sink);

    let whole = Jobs::of(log);
    let mut jobs = Jobs::new();
    log.chunks(piece).for_each(|bytes| jobs.push(bytes));
    let left_out = jobs.left_out();
    assert_eq!(jobs.finish(), whole);
    assert!(whole.len() <= JOBS_MAX && whole.iter().all(|job| job.excerpt.lines.len() <= EXCERPT_LINES));
    if left_out == 0 {
        assert_eq!(whole.iter().map(|job| job.excerpt.log_lines).sum::<u64>(), lines);
    }
});
