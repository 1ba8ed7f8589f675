use super::*;
use proptest::prelude::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/logs/", $name)).as_slice()
    };
}

/// What a test looks at of a line.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    job: Option<String>,
    step: Option<String>,
    starts_step: bool,
    number: u64,
    text: String,
    stamp: Option<String>,
    outcome: Option<Outcome>,
    format: Format,
    len: u64,
}

fn seen_in_pieces(log: &[u8], size: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut sink = |line: LogLine<'_>| {
        seen.push(Seen {
            job: line.job.map(str::to_owned),
            step: line.step.map(str::to_owned),
            starts_step: line.starts_step,
            number: line.number,
            text: text(line.text),
            stamp: line.stamp.map(text),
            outcome: line.outcome,
            format: line.format,
            len: line.len,
        });
    };
    let mut reader = Reader::new();
    log.chunks(size).for_each(|piece| reader.push(piece, &mut sink));
    reader.finish(&mut sink);
    seen
}

fn seen(log: &[u8]) -> Vec<Seen> {
    seen_in_pieces(log, log.len().max(1))
}

/// The names of the steps, in order.
fn steps(log: &[u8]) -> Vec<String> {
    let mut steps: Vec<_> = seen(log).into_iter().filter_map(|line| line.step).collect();
    steps.dedup();
    steps
}

/// The line that has this text, in which no timestamp and no prefix is left.
fn line(log: &[u8], text: &str) -> Seen {
    let all = seen(log);
    all.iter()
        .find(|line| line.text.contains(text))
        .unwrap_or_else(|| panic!("{text} is not in {all:#?}"))
        .clone()
}

#[test]
fn a_raw_log_of_actions_has_steps_and_no_timestamps() {
    let log = fixture!("actions.log");
    assert_eq!(steps(log), ["Run actions/checkout@v5", "Run npm ci", "Run npm test", "Post job cleanup"]);
    let first = &seen(log)[0];
    assert_eq!(first.text, "Current runner version: '2.335.0'");
    assert_eq!((&first.job, &first.step, first.starts_step), (&None, &None, false));
    let error = line(log, "##[error]Process completed");
    assert_eq!((error.step.as_deref(), error.outcome), (Some("Run npm test"), Some(Outcome::Failed)));
    assert_eq!(error.text, "##[error]Process completed with exit code 1.");
    assert!(error.stamp.is_some_and(|stamp| stamp.starts_with("2026-03-04T09:15:")));
    assert_eq!(line(log, "##[group]Run npm test").number, line(log, "npm test").number);
}

#[test]
fn gh_names_job_and_step_before_each_line() {
    let log = fixture!("gh-log.log");
    let error = line(log, "error[E0382]");
    assert_eq!((error.job.as_deref(), error.step.as_deref()), (Some("build"), Some("Compile")));
    assert_eq!(error.text, "error[E0382]: borrow of moved value: `order`");
    let mut jobs: Vec<_> = seen(log).into_iter().filter_map(|line| line.job).collect();
    jobs.dedup();
    assert_eq!(jobs, ["lint", "test (22)", "build"]);
    assert_eq!(line(log, "Cleaning up orphan").step.as_deref(), Some("Complete job"));
}

#[test]
fn a_step_that_gh_does_not_know_is_found_as_in_a_raw_log() {
    let log = fixture!("gh-log-failed.log");
    let error = line(log, "error[E0382]");
    assert_eq!(
        (error.job.as_deref(), error.step.as_deref()),
        (Some("build"), Some("Run cargo build --locked"))
    );
    let upload = line(log, "Connection timed out");
    assert_eq!(
        (upload.job.as_deref(), upload.step.as_deref()),
        (Some("deploy / production"), Some("Upload"))
    );
}

#[test]
fn utf_16_from_powershell_reads_as_the_log_that_was_redirected() {
    let plain = seen(fixture!("gh-log-failed.log"));
    let from = seen(fixture!("powershell-utf16.log"));
    assert_eq!(plain.len(), from.len());
    let text = |lines: &[Seen]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(text(&plain), text(&from));
    let text = String::from_utf8_lossy(fixture!("gh-log-failed.log")).into_owned();
    let units = || text.encode_utf16();
    for log in [
        units().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        [0xfeffu16].into_iter().chain(units()).flat_map(u16::to_be_bytes).collect(),
        units().flat_map(u16::to_be_bytes).collect(),
    ] {
        assert_eq!(seen(&log), plain);
    }
}

#[test]
fn gitlabs_sections_are_steps_and_their_codes_are_taken_off() {
    let log = fixture!("gitlab.log");
    assert_eq!(
        steps(log),
        ["prepare_executor", "prepare_script", "get_sources", "step_script", "cleanup_file_variables"]
    );
    let error = line(log, "No matching distribution");
    assert_eq!((error.step.as_deref(), error.format), (Some("step_script"), Format::GitLab));
    assert!(seen(log).iter().all(|line| !line.text.contains("section_") && !line.text.contains('\r')));
    let end = line(log, "ERROR: Job failed");
    assert_eq!((end.step, end.outcome), (None, Some(Outcome::Failed)));
}

#[test]
fn gitlabs_timestamps_are_taken_off_with_their_stream() {
    let log = fixture!("gitlab-green.log");
    assert_eq!(line(log, "ruff").text, "$ ruff check .");
    assert_eq!(line(log, "All checks passed!").step.as_deref(), Some("step_script"));
    assert_eq!(line(log, "Job succeeded").outcome, Some(Outcome::Ended));
}

#[test]
fn a_step_of_circleci_is_named_by_its_command() {
    let log = fixture!("circleci.log");
    let error = line(log, "Round(2.5) = 3");
    assert_eq!((error.step.as_deref(), error.format), (Some("go test ./..."), Format::CircleCi));
    assert_eq!(steps(log), ["go test ./..."], "a failed test of Go begins no group of Buildkite");
    assert_eq!(line(log, "Exited with code").outcome, Some(Outcome::Failed));
}

#[test]
fn stages_of_jenkins_are_steps_with_either_form_of_the_timestamps() {
    for log in [fixture!("jenkins.log"), fixture!("jenkins-clock.log")] {
        let error = line(log, "cannot find symbol");
        assert_eq!((error.step.as_deref(), error.format), (Some("Build"), Format::Jenkins));
        assert!(error.text.starts_with("[ERROR] /var/jenkins"), "{}", error.text);
        assert_eq!(steps(log), ["Checkout", "Build", "Declarative: Post Actions"]);
        assert_eq!(line(log, "Finished: FAILURE").outcome, Some(Outcome::Failed));
        assert_eq!(line(log, "Started by").text, "Started by user Build Service");
    }
}

#[test]
fn sections_of_azure_are_steps() {
    let log = fixture!("azure.log");
    assert_eq!(steps(log), ["Initialize job", "Restore", "Build", "Finalize Job"]);
    let error = line(log, "error CS1061");
    assert_eq!((error.step.as_deref(), error.format), (Some("Build"), Format::Azure));
    assert!(error.text.ends_with("Till.csproj]"), "{:?}", error.text);
}

#[test]
fn groups_of_buildkite_are_steps_and_its_codes_are_timestamps() {
    let log = fixture!("buildkite.log");
    let error = line(log, "panicked at");
    assert_eq!((error.step.as_deref(), error.format), (Some(":cargo: Tests"), Format::Buildkite));
    assert!(error.stamp.is_some_and(|stamp| stamp.starts_with("17726157")));
    assert!(seen(log).iter().all(|line| !line.text.contains("_bk;t=")));
    assert_eq!(line(log, "exited with status 2").outcome, Some(Outcome::Failed));
}

#[test]
fn folds_of_travis_are_steps_and_a_command_outside_of_them_is_one_too() {
    let log = fixture!("travis.log");
    assert_eq!(steps(log), ["worker_info", "git.checkout", "install.bundler", "bundle exec rspec"]);
    assert_eq!(line(log, "expected: 2").step.as_deref(), Some("bundle exec rspec"));
    assert!(seen(log).iter().all(|line| !line.text.contains("travis_")));
    assert_eq!(line(log, "Done. Your build exited").outcome, Some(Outcome::Failed));
}

#[test]
fn a_progress_bar_leaves_its_last_state() {
    let texts: Vec<_> = seen(fixture!("progress.log")).into_iter().map(|line| line.text).collect();
    assert_eq!(texts, ["Downloading 100 %", "exporting layers", "write error: No space left on device"]);
}

#[test]
fn columns_of_a_programs_own_are_no_prefix() {
    for log in
        ["name\tvalue\t3\n", "a\tb\t2026-01-01 00:00:00 x\n", "\t\t\n", "2026-01-01T00:00:00.0Z a\tb\tc\n"]
    {
        let lines = seen(log.as_bytes());
        assert_eq!((lines[0].job.as_deref(), lines.len()), (None, 1), "{log:?}");
        assert!(lines[0].text.contains('\t'), "{log:?}");
    }
}

#[test]
fn marks_of_another_system_in_the_output_of_a_job_begin_no_step() {
    let log = "2026-01-01T00:00:00.0000000Z ##[group]Run ./replay.sh\n\
               2026-01-01T00:00:00.0000000Z section_start:1:x\n\
               2026-01-01T00:00:00.0000000Z [Pipeline] { (Build)\n\
               2026-01-01T00:00:00.0000000Z --- a/file\n";
    assert_eq!(steps(log.as_bytes()), ["Run ./replay.sh"]);
    assert_eq!(line(log.as_bytes(), "section_start").text, "section_start:1:x");
}

#[test]
fn a_name_has_no_control_characters_and_an_end() {
    let log = format!("##[group]Run \x1b[2J\u{7}{}\nx\n", "é".repeat(5000));
    let step = seen(log.as_bytes())[1].step.clone().expect("a name");
    assert_eq!(step.chars().count(), NAME_CHARS);
    assert!(step.starts_with("Run [2Jé"), "{step}");
}

/// What logs are made of, so that any order of it occurs.
const PARTS: [&[u8]; 24] = [
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b"\x1b[0K",
    b"\x1b_bk;t=1\x07",
    b"\xef\xbb\xbf",
    b"?",
    b"\xff\xfe",
    b"\0",
    b"2026-01-01T00:00:00.1234567Z ",
    b"2026-01-01T00:00:00.123456Z 00O ",
    b"[2026-01-01T00:00:00.123Z] ",
    b"12:34:56  ",
    b"job\tstep\t2026-01-01T00:00:00.1234567Z ",
    b"##[group]Run x",
    b"##[error]x",
    b"section_start:1:a",
    b"section_end:1:a",
    b"travis_fold:start:a",
    b"[Pipeline] { (x)",
    b"~~~ Preparing working directory",
    b"--- x",
    b"#!/bin/bash -eo pipefail",
];

fn any_log() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (0..PARTS.len()).prop_map(|at| PARTS[at].to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
        (LINE_BYTES - 50..2 * LINE_BYTES).prop_map(|len| vec![b'x'; len]),
    ];
    proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_pieces_a_stream_arrives_in_do_not_matter(log in any_log(), size in 1usize..300) {
        prop_assert_eq!(seen_in_pieces(&log, size), seen(&log));
    }

    #[test]
    fn every_line_is_read_once_and_is_bounded(log in any_log()) {
        let lines = seen(&log);
        prop_assert!(lines.iter().zip(1..).all(|(line, number)| line.number == number));
        prop_assert!(lines.iter().all(|line| line.text.chars().count() <= LINE_BYTES + 1));
        if !matches!(log.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, _, 0, ..] | [0, _, 0, ..]) {
            let mark = if log.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            prop_assert_eq!(lines.iter().map(|line| line.len).sum::<u64>(), (log.len() - mark) as u64);
        }
    }
}
