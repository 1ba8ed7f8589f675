use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/logs/", $name)).as_slice()
    };
}

fn told(log: &[u8]) -> Vec<(Option<String>, Option<String>, bool)> {
    Jobs::of(log).into_iter().map(|job| (job.name, job.step, job.found)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn each_job_of_a_stream_has_its_own_excerpt_and_a_green_one_is_told_so() {
    let log = fixture!("gh-log.log");
    assert_eq!(
        told(log),
        [
            (some("lint"), some("Complete job"), false),
            (some("test (22)"), some("Unit tests"), true),
            (some("build"), some("Compile"), true),
        ]
    );
    let jobs = Jobs::of(log);
    let (test, build) = (jobs[1].excerpt.text(), jobs[2].excerpt.text());
    assert!(test.contains("rounds half to even") && !test.contains("E0382"), "{test}");
    assert!(build.contains("E0382") && !build.contains("rounds half to even"), "{build}");
    assert!(!build.contains("build\t"), "{build}");
}

#[test]
fn the_lines_of_a_job_have_the_numbers_of_the_stream() {
    let log = fixture!("gh-log-failed.log");
    let text = String::from_utf8_lossy(log);
    for job in Jobs::of(log) {
        for line in &job.excerpt.lines {
            let there = text.lines().nth(line.number as usize - 1).expect("it is in the stream");
            assert!(there.starts_with(job.name.as_deref().expect("a name")), "{there}");
        }
    }
    let deploy = &Jobs::of(log)[2];
    assert_eq!(deploy.step_at(deploy.excerpt.lines[0].number), Some("Upload"));
}

#[test]
fn one_log_is_one_job_without_a_name() {
    assert_eq!(told(fixture!("actions.log")), [(None, some("Run npm test"), true)]);
    assert_eq!(told(b""), []);
    assert_eq!(told(b"write error: No space left on device\n"), [(None, None, true)]);
}

#[test]
fn a_log_that_ends_as_a_green_job_does_has_no_failure() {
    for log in [fixture!("actions-green.log"), fixture!("gitlab-green.log"), b"all good\ndone\n"] {
        assert_eq!(Jobs::of(log).iter().map(|job| job.found).collect::<Vec<_>>(), [false]);
    }
}

#[test]
fn a_log_is_said_to_have_no_failure_only_where_that_is_certain() {
    let cut =
        String::from_utf8_lossy(fixture!("actions-green.log")).replace("Cleaning up orphan processes", "");
    for log in [
        cut.as_str(),
        "Segmentation fault (core dumped)\n",
        "npm ERR! code ENOSPC\n",
        "The operation was canceled.\n",
        "make: *** [all] Error 2\n",
    ] {
        assert!(Jobs::of(log.as_bytes())[0].found, "{log}");
    }
}

#[test]
fn every_format_that_failed_is_found_to() {
    for log in [
        fixture!("azure.log"),
        fixture!("buildkite.log"),
        fixture!("circleci.log"),
        fixture!("gitlab.log"),
        fixture!("jenkins.log"),
        fixture!("travis.log"),
        fixture!("progress.log"),
    ] {
        let jobs = Jobs::of(log);
        assert!(jobs.len() == 1 && jobs[0].found, "{:?}", jobs[0]);
    }
}

#[test]
fn the_named_step_that_failed_is_that_of_the_first_error_and_not_of_a_tear_down_after_it() {
    let log = String::from_utf8_lossy(fixture!("gh-log.log")).replace(
        "test (22)\tPost Run actions/checkout@v5\t",
        "test (22)\tUpload report\t2026-03-04T09:15:00.0000000Z ##[error]No files were found\n\
         test (22)\tPost Run actions/checkout@v5\t",
    );
    let jobs = Jobs::of(log.as_bytes());
    assert_eq!(jobs[1].step.as_deref(), Some("Unit tests"));
}

#[test]
fn a_stream_of_many_jobs_keeps_those_that_failed() {
    let line = |job: usize, text: &str| format!("job {job}\tstep\t2026-01-01T00:00:00.0000000Z {text}\n");
    let mut log: String = (0..200)
        .map(|job| {
            line(job, if job % 10 == 7 { "##[error]x" } else { "fine" })
                + &line(job, "Cleaning up orphan processes")
        })
        .collect();
    log += &line(199, "and its end");
    let mut jobs = Jobs::new();
    jobs.push(log.as_bytes());
    assert_eq!(jobs.left_out(), 200 - JOBS_MAX);
    let jobs = jobs.finish();
    assert_eq!((jobs.len(), jobs.iter().filter(|job| job.found).count()), (JOBS_MAX, 20));
    // If all fail, the first are kept.
    let log: String = (0..200).map(|job| line(job, "##[error]x")).collect();
    let mut jobs = Jobs::new();
    jobs.push(log.as_bytes());
    assert_eq!(jobs.left_out(), 200 - JOBS_MAX);
    assert_eq!(jobs.finish()[JOBS_MAX - 1].name.as_deref(), Some("job 63"));
}
