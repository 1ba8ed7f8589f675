//! One job at a time, through a real database, the real model and a fake GitHub that refuses what GitHub refuses.

use sentinel_node::operate::faults::{Step, panicking_at};
use sentinel_node::review::github::DEADLINE;
use sentinel_node::review::reviewer::{Explainer, Once, Reviewer, Verdicts};
use sentinel_shared::access::Scope;
use sentinel_shared::review::ReviewJob;
use sentinel_shared::review::render::{fingerprint_in, is_of_key};
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::pauses::{self, GIVE_UP_AFTER, Identity as Account, PAUSE_AT_MOST, Reason};
use sentinel_shared::store::{Value, leases, outbox, queue};
use sentinel_shared::webhook::DeliveryKey;
use sentinel_tests::github::{Comment, FakeGithub, Fault, Pull, Review};
use sentinel_tests::node::{Identity, OUTSPOKEN, RUNTIME, Rig, change, job};
use std::time::{Duration, Instant};

const PATCH: &str = "@@ -1,3 +1,6 @@\n export function load() {\n+  debugger;\n+  const rows = read();\n+  return rows.map(r => r.id);\n }\n-// end\n+// the end\n";
const OTHER: &str = "@@ -10,2 +10,3 @@ def test():\n     x = 1\n+    breakpoint()\n     y = 2\n";

/// A repository and a number of its own, so that tests share one GitHub and one runtime.
struct Scene {
    rig: Rig,
    node: Reviewer,
    repository: String,
    installation: Option<u64>,
}

impl Scene {
    async fn start(name: &str, identity: Identity) -> Self {
        let github = FakeGithub::start();
        let repository = format!("team/{name}");
        github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
        github.open(Pull::new(
            &repository,
            7,
            "head1",
            &[("src/load.ts", PATCH), ("tests/test_x.py", OTHER)],
        ));
        let rig = Rig::start(github).await;
        let node = rig.node("node-1", identity);
        Self { rig, node, repository, installation: (identity == Identity::App).then_some(5) }
    }

    fn key(&self, head: &str) -> String {
        format!("{}#7@{head}", self.repository)
    }

    async fn queue(&self, head: &str) {
        self.rig.queue(JobKind::Review, &job(&self.repository, 7, head, self.installation)).await;
    }

    async fn once(&self) -> Option<JobStatus> {
        match self.node.review_once().await.expect("the database is there") {
            Once::Worked { status, .. } => status,
            Once::Idle => None,
        }
    }

    fn pull(&self) -> Pull {
        self.rig.github.pull(&self.repository, 7)
    }
}

#[test]
fn a_pull_request_gets_one_review_with_comments_on_the_right_lines() {
    RUNTIME.block_on(async {
        let scene = Scene::start("one", Identity::App).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let pull = scene.pull();
        assert_eq!(pull.reviews.len(), 1);
        assert!(is_of_key(&pull.reviews[0].body, &scene.key("head1")), "{}", pull.reviews[0].body);
        assert!(pull.reviews[0].body.contains("| files | 2 | 2 | 0 |\n| hunks | 2 | 2 | 0 |"));
        let debugger =
            pull.comments.iter().find(|comment| comment.path == "src/load.ts" && comment.line == Some(2));
        let debugger = &debugger.expect("the debugger statement is commented on").body;
        assert!(debugger.contains("```suggestion\n```") && fingerprint_in(debugger).is_some(), "{debugger}");
        assert!(
            pull.comments.iter().any(|comment| comment.path == "tests/test_x.py" && comment.line == Some(11))
        );
        let checks = scene.rig.github.checks("head1");
        assert_eq!((checks.len(), checks[0].conclusion.as_str()), (1, "neutral"));
        // Nothing is left to do, and doing it again changes nothing.
        assert_eq!(scene.once().await, None);
        let row = scene.rig.job(&scene.key("head1")).await;
        assert_eq!((row.status, row.attempts), (JobStatus::Done, 1));
        assert!(row.review_url.is_some() && row.result.is_some_and(|result| result.receipt.is_balanced()));
    });
}

#[test]
fn a_review_reads_our_comments_once_and_counts_as_posted_only_what_github_took() {
    RUNTIME.block_on(async {
        let scene = Scene::start("counted", Identity::App).await;
        scene.queue("head1").await;
        // The first call that writes to the repository.
        scene.rig.github.fail_next("POST /repos", Fault::Status(502));
        assert_eq!(scene.once().await, Some(JobStatus::Queued));
        let posted = || -> u64 {
            let metrics = scene.node.metrics.text();
            let lines = metrics.lines().filter(|line| line.starts_with("sentinel_review_posted_total"));
            lines
                .filter(|line| line.contains("status=\"posted\""))
                .map(|line| {
                    line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count")
                })
                .sum()
        };
        assert_eq!(posted(), 0, "GitHub refused the review");
        scene.rig.let_time_pass().await;
        let before = scene.rig.github.calls().len();
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(posted(), scene.pull().comments.len() as u64);
        let calls = scene.rig.github.calls()[before..].to_vec();
        let lists = calls.iter().filter(|call| *call == "comments 7").count();
        assert_eq!(lists, 1);
    });
}

#[test]
fn with_the_default_policy_a_model_without_thresholds_leaves_the_talking_to_the_checks() {
    RUNTIME.block_on(async {
        let scene = Scene::start("quiet", Identity::App).await;
        scene.rig.github.put_file(&scene.repository, ".github/sentinel.yml", "");
        let clean = "@@ -1 +1,2 @@\n a = 1\n+b = 2\n";
        scene.rig.github.change(&scene.repository, 7, |pull| {
            pull.files = vec![("src/a.py".into(), Some(clean.into()))];
        });
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert!(scene.pull().reviews.is_empty(), "a review that says nothing is noise");
        assert_eq!(scene.rig.github.checks("head1")[0].conclusion, "success");
    });
}

#[test]
fn reactions_to_comments_become_feedback_once_for_each_person() {
    RUNTIME.block_on(async {
        let scene = Scene::start("heard", Identity::App).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let react = |reactions: &[(&'static str, &'static str)]| {
            scene.rig.github.change(&scene.repository, 7, |pull| {
                let at = pull.comments.iter().position(|comment| comment.path == "src/load.ts");
                pull.comments[at.expect("it was commented on")].reactions = reactions.to_vec();
            });
        };
        let some_hours = "-- test_hours\nUPDATE review_jobs SET heard_at = heard_at - 30000, finished_at = finished_at - 30000";
        let said = async || -> Vec<_> {
            let rows = scene.rig.feedback().await;
            assert!(rows.iter().all(|row| row.job_key.as_ref() == Some(&scene.key("head1"))));
            rows.into_iter().map(|row| (row.author_id, row.corrected_label)).collect()
        };
        let row = |author: &str, opinion: &str| (author.to_owned(), opinion.to_owned());

        react(&[("-1", "mona"), ("+1", "hubot"), ("heart", "hubot"), ("+1", "both"), ("-1", "both")]);
        assert!(!scene.node.poll_reactions_once().await.unwrap(), "a review is given some hours first");
        scene.rig.pretend(some_hours).await;
        assert!(scene.node.poll_reactions_once().await.unwrap());
        let first = [row("mona", "not_useful"), row("hubot", "useful")];
        assert_eq!(said().await, first, "what is not yes or no, and who says both, is left out");
        let result = scene.rig.job(&scene.key("head1")).await.result.expect("it was reviewed");
        let spoken_of = result.findings.iter().find(|finding| finding.path == "src/load.ts").expect("a finding");
        let about = &scene.rig.feedback().await[0];
        assert_eq!(about.finding, Some(spoken_of.fingerprint()));
        let original = format!("{}/{}", spoken_of.severity.label(), spoken_of.category.label());
        assert_eq!(about.original_pred, original);
        assert!(!scene.node.poll_reactions_once().await.unwrap(), "not again at once");

        react(&[("+1", "mona"), ("+1", "hubot")]);
        scene.rig.pretend(some_hours).await;
        scene.rig.github.fail_next("GET /repos", Fault::Status(502));
        assert!(scene.node.poll_reactions_once().await.unwrap());
        assert_eq!(said().await, first, "GitHub did not answer; nothing is made up");
        scene.rig.pretend(some_hours).await;
        assert!(!scene.node.poll_reactions_once().await.unwrap(), "not while the account is paused");
        scene.rig.let_time_pass().await;
        assert!(scene.node.poll_reactions_once().await.unwrap());
        assert_eq!(said().await[0], row("mona", "useful"), "another mind");
        assert_eq!(said().await.len(), 3, "what hubot said already is not stored twice");

        let job = job(&scene.repository, 7, "head1", scene.installation);
        let delivery = DeliveryKey { hook: "hook".into(), id: "ignore-1".into() };
        let mute = outbox::mute(&delivery, "issue_comment", &job, "mona", sentinel_node::database::now());
        scene.rig.ask(mute).await;
        assert_eq!(said().await[0], row("mona", "dismissed"), "/sentinel ignore is an opinion too");

        scene.rig.pretend("-- test_weeks\nUPDATE review_jobs SET heard_at = 0, finished_at = finished_at - 2000000").await;
        assert!(!scene.node.poll_reactions_once().await.unwrap(), "an old review is not listened to any more");
    });
}

#[test]
fn what_the_worker_missed_is_asked_for_again_at_four_ages_until_it_arrives() {
    RUNTIME.block_on(async {
        let scene = Scene::start("missed", Identity::App).await;
        let (github, node) = (&scene.rig.github, &scene.node.github);
        let asked = async || node.redeliver_missed(sentinel_node::database::now()).await;
        for (guid, status) in [("taken", 202), ("refused", 401), ("lost", 503), ("hopeless", 500)] {
            github.delivered(guid, status);
        }
        // The lost ones are not among the newest hundred.
        (0..250).for_each(|at| github.delivered(&format!("later{at}"), 202));
        assert_eq!(asked().await, Ok(0), "the worker is given a moment");
        github.hook_answers(502);
        github.age_deliveries(301);
        assert_eq!(asked().await, Ok(2));
        assert_eq!(asked().await, Ok(0), "not at every look");
        github.age_deliveries(3300);
        assert_eq!(asked().await, Ok(2), "an hour after the first attempt");
        github.age_deliveries(11 * 3600);
        github.hook_answers(202);
        assert_eq!(asked().await, Ok(2), "twelve hours after it");
        assert_eq!(github.attempts_at("lost"), [503, 502, 502, 202]);
        github.age_deliveries(36 * 3600);
        assert_eq!(asked().await, Ok(0), "they have arrived");
        assert_eq!((github.attempts_at("taken").len(), github.attempts_at("refused").len()), (1, 1));
        let person = scene.rig.node("person", Identity::Person);
        let nothing = person.github.redeliver_missed(sentinel_node::database::now()).await;
        assert_eq!(nothing, Ok(0), "a token has no webhook of its own");
    });
}

#[test]
fn a_partial_review_is_never_green_and_says_so() {
    RUNTIME.block_on(async {
        for identity in [Identity::App, Identity::Person] {
            let scene = Scene::start("partial", identity).await;
            scene.rig.github.change(&scene.repository, 7, |pull| {
                pull.files = vec![
                    ("src/huge.rs".into(), None),
                    ("logo.svg".into(), Some("@@ -1 +1 @@\n-a\n+b\n".into())),
                ];
            });
            scene.queue("head1").await;
            assert_eq!(scene.once().await, Some(JobStatus::Done));
            let told = match identity {
                Identity::App => {
                    let check = scene.rig.github.checks("head1").remove(0);
                    assert_eq!(check.conclusion, "neutral");
                    check.summary
                }
                Identity::Person => scene.pull().reviews.remove(0).body,
            };
            assert!(
                told.contains("1 too large for GitHub to show")
                    && told.contains("**This review is partial**"),
                "{told}"
            );
        }
    });
}

#[test]
fn what_github_answers_decides_whether_a_job_is_tried_again() {
    RUNTIME.block_on(async {
        let again = [
            ("GET /repos", Fault::Status(500)),
            ("GET /repos", Fault::Status(429)),
            ("POST /repos", Fault::Status(502)),
            ("POST /repos", Fault::LostAnswer),
            ("GET /repos", Fault::LostAnswer),
            ("POST /app", Fault::Status(503)),
            ("GET /repos", Fault::Silence(DEADLINE)),
        ];
        let scenes = again.into_iter().enumerate().map(|(at, (call, fault))| async move {
            let scene = Scene::start(&format!("again{at}"), Identity::App).await;
            scene.queue("head1").await;
            scene.rig.github.fail_next(call, fault.clone());
            assert_eq!(scene.once().await, Some(JobStatus::Queued), "{call} {fault:?}");
            scene.rig.let_time_pass().await;
            assert_eq!(scene.once().await, Some(JobStatus::Done), "{call} {fault:?}");
            let pull = scene.pull();
            assert_eq!(pull.reviews.len(), 1, "{call} {fault:?}");
            assert_eq!(scene.rig.github.checks("head1").len(), 1, "{call} {fault:?}");
        });
        futures_util::future::join_all(scenes).await;
        for status in [403, 404] {
            let scene = Scene::start(&format!("never{status}"), Identity::Person).await;
            scene.queue("head1").await;
            scene.rig.github.fail_next("GET /repos", Fault::Status(status));
            assert_eq!(scene.once().await, Some(JobStatus::Failed));
            let row = scene.rig.job(&scene.key("head1")).await;
            assert!(
                row.error.is_some_and(|error| error.starts_with(&status.to_string())),
                "the reason is kept"
            );
        }
    });
}

#[test]
fn a_limit_on_our_rate_is_waited_for_as_long_as_github_says() {
    RUNTIME.block_on(async {
        let scene = Scene::start("limited", Identity::App).await;
        scene.queue("head1").await;
        scene.rig.github.fail_next("POST /repos", Fault::Limited(90));
        assert_eq!(scene.once().await, Some(JobStatus::Queued));
        assert_eq!(scene.once().await, None, "not before the ninety seconds are over");
        let due = scene.rig.ask(outbox::due(sentinel_node::database::now() + 88)).await;
        assert!(due.is_empty());
        let due = scene.rig.ask(outbox::due(sentinel_node::database::now() + 91)).await;
        assert_eq!(due.len(), 1);
    });
}

#[test]
fn after_three_errors_a_job_is_dead_visible_and_can_be_revived() {
    RUNTIME.block_on(async {
        let scene = Scene::start("dead", Identity::Person).await;
        scene.queue("head1").await;
        for expected in [JobStatus::Queued, JobStatus::Queued, JobStatus::Dead] {
            // JSON of another shape: an error of this job's own.
            scene.rig.github.fail_next("GET /repos", Fault::Status(200));
            assert_eq!(scene.once().await, Some(expected));
            scene.rig.let_time_pass().await;
        }
        assert_eq!(scene.once().await, None);
        assert_eq!(scene.rig.breakers().await, [], "nobody else waits for it");
        let key = scene.key("head1");
        let revive = queue::revive(Scope::All, Some(&key), sentinel_node::database::now());
        scene.rig.ask(revive).await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(scene.pull().reviews.len(), 1);
    });
}

/// Several pull requests of one account that wait while GitHub has trouble.
struct Outage {
    rig: Rig,
    node: Reviewer,
    jobs: Vec<String>,
    /// How often a node took a job.
    takes: usize,
}

impl Outage {
    async fn start(name: &str, identity: Identity, jobs: usize) -> Self {
        let github = FakeGithub::start();
        let rig = Rig::start(github).await;
        let node = rig.node("node-1", identity);
        let mut keys = Vec::new();
        for number in 0..jobs {
            let repository = format!("team/{name}{number}");
            rig.github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
            rig.github.open(Pull::new(&repository, 7, "head1", &[("src/load.ts", PATCH)]));
            let job = job(&repository, 7, "head1", (identity == Identity::App).then_some(5));
            rig.queue(JobKind::Review, &job).await;
            keys.push(job.key);
        }
        Self { rig, node, jobs: keys, takes: 0 }
    }

    /// Works as a node does for so many seconds: whatever is due, with a look every five seconds, or every minute.
    async fn live(&mut self, seconds: i64) {
        let step = if seconds > 3600 { 60 } else { 5 };
        for _ in 0..seconds / step {
            while let Once::Worked { .. } = self.node.review_once().await.expect("the database is there") {
                self.takes += 1;
                assert!(self.takes < 500, "the queue never rests");
                // Nothing waits a real second for its turn to write.
                self.rig.advance(1).await;
            }
            self.rig.advance(step).await;
        }
    }

    /// Takes one job, if one may be taken; how it ended.
    async fn once(&self) -> Option<JobStatus> {
        match self.node.review_once().await.expect("the database is there") {
            Once::Worked { status, .. } => status,
            Once::Idle => None,
        }
    }

    /// The pause of the breaker is over, and this job is the one that is due.
    async fn let_through(&self, kind: JobKind, job: &ReviewJob) {
        self.rig.let_time_pass().await;
        self.rig.pretend("-- test_wait\nUPDATE review_jobs SET not_before = 9999999999").await;
        self.rig.queue(kind, job).await;
    }

    /// The job that was to wait for that is due; the breaker is not touched.
    async fn due(&self) {
        self.rig
            .pretend("-- test_due\nUPDATE review_jobs SET not_before = 0 WHERE not_before = 9999999999")
            .await;
    }

    async fn statuses(&self) -> Vec<JobStatus> {
        let mut statuses = Vec::new();
        for key in &self.jobs {
            statuses.push(self.rig.job(key).await.status);
        }
        statuses
    }

    async fn reviews_are_all_there_once(&self) {
        let statuses = self.statuses().await;
        assert!(statuses.iter().all(|status| *status == JobStatus::Done), "{statuses:?}");
        for key in &self.jobs {
            let repository = key.split('#').next().expect("a key names its repository");
            assert_eq!(self.rig.github.pull(repository, 7).reviews.len(), 1, "{key}");
        }
    }
}

#[test]
fn an_outage_of_97_seconds_kills_no_review() {
    RUNTIME.block_on(async {
        let mut outage = Outage::start("short", Identity::Person, 8).await;
        outage.rig.github.set_weather(Some(Fault::Status(503)));
        outage.live(97).await;
        let statuses = outage.statuses().await;
        assert!(statuses.iter().all(|status| *status == JobStatus::Queued), "{statuses:?}");
        // At 0, 5, 10, 20, 40 and 80 seconds: GitHub is not asked by all of them.
        assert!(outage.takes <= 8, "{} takes", outage.takes);
        let open = outage.rig.breakers().await;
        assert_eq!(
            (open[0].account.as_str(), open[0].reason.label(), open[0].waiting),
            ("token", "github_away", 8)
        );
        outage.rig.github.set_weather(None);
        outage.live(200).await;
        outage.reviews_are_all_there_once().await;
        assert_eq!(outage.rig.breakers().await, []);
        let first = outage.rig.job(&outage.jobs[0]).await;
        assert_eq!((first.attempts, first.failures), (1, 0), "what only paused was not tried");
    });
}

#[test]
fn half_an_hour_without_github_kills_no_review_whatever_it_answers_meanwhile() {
    RUNTIME.block_on(async {
        let weathers = [
            (Fault::Status(502), "github_away"),
            (Fault::Html, "github_away"),
            (Fault::LostAnswer, "github_away"),
            (Fault::LimitedWordlessly, "limited"),
            (Fault::OutOfCalls(1800), "limited"),
        ];
        let outages = weathers.into_iter().enumerate().map(|(at, (weather, reason))| async move {
            let mut outage = Outage::start(&format!("half{at}x"), Identity::App, 4).await;
            outage.rig.github.set_weather(Some(weather.clone()));
            outage.live(1800).await;
            let statuses = outage.statuses().await;
            assert!(statuses.iter().all(|status| *status == JobStatus::Queued), "{weather:?}: {statuses:?}");
            assert!(outage.takes <= 14, "{weather:?}: {} takes", outage.takes);
            let open = outage.rig.breakers().await;
            assert_eq!((open[0].account.as_str(), open[0].reason.label()), ("5", reason), "{weather:?}");
            outage.rig.github.set_weather(None);
            // It is asked again when the trouble is twice as old at the latest.
            outage.live(1900).await;
            outage.reviews_are_all_there_once().await;
            assert_eq!(outage.rig.breakers().await, [], "{weather:?}");
        });
        futures_util::future::join_all(outages).await;
    });
}

#[test]
fn a_limit_that_says_for_how_long_is_not_tried_before() {
    RUNTIME.block_on(async {
        let mut outage = Outage::start("limit", Identity::App, 3).await;
        outage.rig.github.set_weather(Some(Fault::OutOfCalls(900)));
        outage.live(850).await;
        assert_eq!(outage.takes, 1, "one call met the limit, and no other was made");
    });
}

#[test]
fn a_refused_token_pauses_everything_says_so_and_a_new_one_brings_everything_back() {
    RUNTIME.block_on(async {
        for (identity, account, reason) in
            [(Identity::Person, "token", "token_refused"), (Identity::App, "app", "key_refused")]
        {
            let mut outage = Outage::start(&format!("refused-{account}"), identity, 5).await;
            let other = job("team/elsewhere", 7, "head1", (identity == Identity::App).then_some(6));
            outage.rig.queue(JobKind::Review, &other).await;
            outage.rig.github.set_weather(Some(Fault::Status(401)));
            outage.live(3600).await;
            let statuses = outage.statuses().await;
            assert!(statuses.iter().all(|status| *status == JobStatus::Queued), "{statuses:?}");
            assert!(outage.takes <= 20, "{} takes", outage.takes);
            let open = outage.rig.breakers().await;
            let [breaker] = &open[..] else { panic!("one for all installations: {open:?}") };
            assert_eq!(
                (breaker.account.as_str(), breaker.reason.label(), breaker.waiting),
                (account, reason, 6)
            );
            assert!(breaker.to_do.as_deref().is_some_and(|to_do| to_do.contains("restart")), "{breaker:?}");
            assert!(breaker.what.as_ref().is_some_and(|what| what.starts_with("401 for ")), "{breaker:?}");
            let waits = outage.rig.job(&outage.jobs[4]).await.wait.expect("it waits");
            assert_eq!(
                waits.reason.map(Reason::label),
                Some(reason),
                "a job that was never tried says why it waits"
            );
            // The node that is started with another token need not wait for the pause to end.
            outage.rig.github.set_weather(None);
            outage.rig.github.open(Pull::new("team/elsewhere", 7, "head1", &[("src/load.ts", PATCH)]));
            outage.node = outage.rig.node("node-2", identity);
            outage.node.introduce_once().await.unwrap();
            outage.live(60).await;
            outage.reviews_are_all_there_once().await;
            assert_eq!(outage.rig.breakers().await, []);
        }
    });
}

#[test]
fn a_key_of_one_installation_learns_nothing_of_anothers_trouble() {
    RUNTIME.block_on(async {
        let scene = Scene::start("scoped", Identity::App).await;
        let now = sentinel_node::database::now();
        for (account, reason) in
            [("5", Reason::Limited), ("6", Reason::GithubAway), ("app", Reason::KeyRefused)]
        {
            let trouble =
                pauses::Outage { account, reason, what: "GET /repos/some/where", after: 0, job: "" };
            scene.rig.ask(pauses::open(Account::App, &trouble, now)).await;
        }
        let seen = async |scope| {
            let rows = scene.rig.ask(pauses::breakers(scope)).await;
            rows.into_iter().map(|row| (row.account, row.what.is_some())).collect::<Vec<_>>()
        };
        let row = |account: &str, is_told| (account.to_owned(), is_told);
        assert_eq!(seen(Scope::All).await, [row("5", true), row("6", true), row("app", true)]);
        assert_eq!(seen(Scope::Installation(5)).await, [row("5", true), row("app", false)]);
    });
}

#[test]
fn a_token_that_is_refused_when_the_node_starts_is_known_before_any_job_comes() {
    RUNTIME.block_on(async {
        let scene = Scene::start("at-start", Identity::Person).await;
        scene.rig.github.set_weather(Some(Fault::Status(401)));
        scene.node.introduce_once().await.unwrap();
        let open = scene.rig.breakers().await;
        assert_eq!((open.len(), open[0].reason.label(), open[0].waiting), (1, "token_refused", 0));
        scene.rig.advance(3600).await;
        assert_eq!(scene.once().await, None);
        assert_eq!(scene.rig.breakers().await.len(), 1, "nobody waits, and it is still to be told");
        scene.rig.github.set_weather(None);
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(scene.rig.breakers().await, []);
    });
}

#[test]
fn one_pull_request_that_github_always_fails_on_holds_no_other_up_and_ends_after_three_days() {
    RUNTIME.block_on(async {
        let mut outage = Outage::start("poison", Identity::App, 6).await;
        // The first in the queue.
        (0..400).for_each(|_| {
            outage.rig.github.fail_next("/repos/team/poison0/pulls/7/files", Fault::Status(500));
        });
        outage.live(120).await;
        let statuses: Vec<_> = outage.statuses().await.into_iter().map(JobStatus::label).collect();
        assert_eq!(statuses, ["queued", "done", "done", "done", "done", "done"]);
        outage.live(24 * 3600).await;
        // Each time for a moment only: a pull request that comes meanwhile is reviewed at once.
        let late = job("team/poison-late", 7, "head1", Some(5));
        outage.rig.github.open(Pull::new("team/poison-late", 7, "head1", &[("src/load.ts", PATCH)]));
        outage.rig.queue(JobKind::Review, &late).await;
        outage.live(20).await;
        let row = outage.rig.job(&late.key).await;
        assert_eq!(row.status, JobStatus::Done, "{row:?} {:?}", outage.rig.breakers().await);
        let takes = outage.takes;
        assert!(takes < 60, "{takes} takes in a day");
        outage.rig.advance(GIVE_UP_AFTER - 24 * 3600).await;
        outage.live(30).await;
        let row = outage.rig.job(&outage.jobs[0]).await;
        assert_eq!((row.status, row.failures), (JobStatus::Dead, 0));
        let error = row.error.unwrap_or_default();
        assert!(error.starts_with("given up after three days: 500 for /repos/team/poison0"), "{error}");
        // A person may say that it is worth another three.
        outage.rig.github.clear_faults();
        let revive = queue::revive(Scope::All, Some(&outage.jobs[0]), sentinel_node::database::now());
        outage.rig.ask(revive).await;
        outage.live(60).await;
        outage.reviews_are_all_there_once().await;
    });
}

#[test]
fn who_waits_three_days_behind_an_account_that_is_paused_is_given_up_with_the_reason() {
    RUNTIME.block_on(async {
        let mut outage = Outage::start("expired", Identity::Person, 3).await;
        outage.rig.github.set_weather(Some(Fault::Status(401)));
        outage.live(10).await;
        outage.rig.advance(GIVE_UP_AFTER - PAUSE_AT_MOST).await;
        outage.live(30).await;
        let statuses = outage.statuses().await;
        assert!(statuses.iter().all(|status| *status == JobStatus::Queued), "{statuses:?}");
        outage.rig.advance(PAUSE_AT_MOST).await;
        outage.live(30).await;
        let statuses = outage.statuses().await;
        assert!(statuses.contains(&JobStatus::Dead), "{statuses:?}");
        // Those that were let through meanwhile have three days from their own first try on.
        outage.rig.advance(GIVE_UP_AFTER).await;
        outage.live(60).await;
        let statuses = outage.statuses().await;
        assert!(statuses.iter().all(|status| *status == JobStatus::Dead), "{statuses:?}");
        for key in &outage.jobs {
            let error = outage.rig.job(key).await.error.unwrap_or_default();
            assert!(error.starts_with("given up after") && error.contains("401 for "), "{error}");
        }
    });
}

#[test]
fn a_job_that_github_has_nothing_to_do_for_closes_the_breaker() {
    RUNTIME.block_on(async {
        for kind in [JobKind::Review, JobKind::Verdict] {
            let mut outage = Outage::start(&format!("idle-{kind:?}"), Identity::Person, 2).await;
            outage.rig.github.set_weather(Some(Fault::Status(503)));
            assert_eq!(outage.once().await, Some(JobStatus::Queued));
            outage.rig.github.set_weather(None);
            // Whoever is let through first finds that there is nothing to do, and has asked GitHub for that.
            let first = match kind {
                JobKind::Verdict => {
                    outage.rig.verdict(3, "team/no-pull", Some("deadbeef")).await;
                    let mut verdict = job("team/no-pull", 3, "deadbeef", None);
                    verdict.key = "team/no-pull!run:1:1".to_owned();
                    verdict
                }
                _ => {
                    let mut closed = Pull::new("team/closed", 7, "head1", &[("src/load.ts", PATCH)]);
                    closed.state = "closed";
                    outage.rig.github.open(closed);
                    job("team/closed", 7, "head1", None)
                }
            };
            outage.node.options.verdicts = Verdicts::Comment;
            outage.let_through(kind, &first).await;
            assert_eq!(outage.once().await, Some(JobStatus::Skipped));
            assert_eq!(outage.rig.breakers().await, [], "{kind:?}: GitHub has answered");
        }
    });
}

#[test]
fn a_job_that_shows_nothing_of_github_lets_the_next_one_through_at_once() {
    RUNTIME.block_on(async {
        let endings = [
            // Nothing was asked of GitHub.
            ("needless", JobKind::Verdict, None, JobStatus::Skipped),
            // It answered, and what it said is final for this job alone.
            ("refused", JobKind::Review, Some(Fault::Status(403)), JobStatus::Failed),
            // JSON of another shape.
            ("odd", JobKind::Review, Some(Fault::Status(200)), JobStatus::Queued),
        ];
        for (name, kind, fault, ending) in endings {
            let outage = Outage::start(&format!("shows-{name}"), Identity::Person, 1).await;
            outage.rig.github.set_weather(Some(Fault::Status(503)));
            assert_eq!(outage.once().await, Some(JobStatus::Queued));
            outage.rig.github.set_weather(None);
            let mut first = job("team/first", 7, "head1", None);
            first.key = "team/first, let through".to_owned();
            outage.let_through(kind, &first).await;
            fault.into_iter().for_each(|fault| outage.rig.github.fail_next("GET /repos/team/first", fault));
            assert_eq!(outage.once().await, Some(ending), "{name}");
            assert_eq!(outage.rig.job(&first.key).await.status, ending, "{name}");
            assert_eq!(outage.rig.breakers().await.len(), 1, "{name}: GitHub may still be away");
            // The review that waits does not wait a minute for it.
            outage.due().await;
            assert_eq!(outage.once().await, Some(JobStatus::Done), "{name}");
            assert_eq!(outage.rig.breakers().await, [], "{name}");
        }
    });
}

#[test]
fn what_an_earlier_version_ended_because_of_an_outage_comes_back_by_itself() {
    RUNTIME.block_on(async {
        let endings = [
            ("dead", "502 for /repos/team/back0/pulls/7: no reason given", 0, true),
            ("dead", "GitHub can't be reached: no answer in time", 0, true),
            ("failed", "401 for /repos/team/back2/pulls/7: Bad credentials", 0, true),
            (
                "failed",
                "403 for /repos/team/back3/pulls/7: You have exceeded a secondary rate limit.",
                0,
                true,
            ),
            ("failed", "403 for /repos/team/back4/pulls/7: Resource not accessible by integration", 0, false),
            ("dead", "the model could not be run", 0, false),
            ("dead", "503 for /repos/team/back6/pulls/7: no reason given", GIVE_UP_AFTER + 60, false),
        ];
        for (at, how) in ["a node starts", "the account's breaker is closed"].iter().enumerate() {
            let mut outage = Outage::start(&format!("back{at}x"), Identity::App, endings.len()).await;
            for (key, (status, error, ago, _)) in outage.jobs.iter().zip(endings) {
                let sql =
                    "-- test_end\nUPDATE review_jobs SET status = ?2, error = ?3, attempts = 3, failures = 3,
                    finished_at = unixepoch() - ?4 WHERE key = ?1";
                let texts = [key.as_str(), status, error].map(|text| Value::Text(text.to_owned()));
                let end = change(sql, [&texts[..], &[Value::Integer(ago)]].concat());
                outage.rig.ask(end).await;
            }
            if at == 0 {
                outage.node.introduce_once().await.unwrap();
            } else {
                outage.rig.github.open(Pull::new("team/back-opener", 7, "head1", &[("src/load.ts", PATCH)]));
                outage.rig.queue(JobKind::Review, &job("team/back-opener", 7, "head1", Some(5))).await;
                outage.rig.github.fail_next("GET /repos", Fault::Status(503));
                outage.live(5).await;
                assert!(!outage.statuses().await.contains(&JobStatus::Queued), "not while GitHub is away");
            }
            outage.live(60).await;
            for (key, (status, error, _, comes_back)) in outage.jobs.iter().zip(endings) {
                let expected = if comes_back { "done" } else { status };
                assert_eq!(outage.rig.job(key).await.status.label(), expected, "{how}: {error}");
            }
        }
    });
}

#[test]
fn a_job_that_makes_the_node_panic_fails_by_itself_and_the_worker_goes_on() {
    RUNTIME.block_on(async {
        let scene = Scene::start("panic", Identity::Person).await;
        scene.queue("head1").await;
        let outcome = panicking_at(Step::FilesRead, scene.node.review_once()).await.unwrap();
        assert!(matches!(outcome, Once::Worked { status: Some(JobStatus::Queued), .. }), "{outcome:?}");
        let row = scene.rig.job(&scene.key("head1")).await;
        assert_eq!((row.failures, row.error.as_deref()), (1, Some("the node panicked over it")));
        scene.rig.let_time_pass().await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
    });
}

#[test]
fn outdated_comments_are_folded_once_each_over_as_many_reviews_as_it_takes() {
    RUNTIME.block_on(async {
        let scene = Scene::start("folded", Identity::App).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        scene.rig.github.change(&scene.repository, 7, |pull| {
            let ours = pull.comments[0].clone();
            for at in 0..130 {
                // Of lines that are gone; most were folded by a person or long ago.
                pull.comments.push(Comment { id: 50_000 + at, line: None, ..ours.clone() });
            }
        });
        (50_000..50_105).for_each(|id| scene.rig.github.minimize(id));
        for (head, folds) in [("head2", 20), ("head3", 25), ("head4", 25)] {
            scene.rig.github.change(&scene.repository, 7, |pull| pull.head_sha = head.into());
            scene.queue(head).await;
            // Nothing waits a real second for its turn to write.
            let ours = async { assert_eq!(scene.once().await, Some(JobStatus::Done)) };
            let time = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    scene.rig.pretend("-- test_writes\nDELETE FROM github_writes").await;
                }
            };
            tokio::select! { () = ours => {}, () = time => {} }
            assert_eq!(scene.rig.github.folds(), folds, "{head}");
        }
    });
}

#[test]
fn beyond_three_thousand_reviews_the_newest_are_read() {
    RUNTIME.block_on(async {
        let scene = Scene::start("crowded", Identity::Person).await;
        scene.queue("head1").await;
        scene.rig.github.fail_next("POST /repos", Fault::LostAnswer);
        assert_eq!(scene.once().await, Some(JobStatus::Queued));
        scene.rig.github.change(&scene.repository, 7, |pull| {
            let ours = pull.reviews.remove(0);
            let other = |id| Review { id, login: "octocat".into(), body: "hm".into(), ..ours.clone() };
            pull.reviews = (100_000..103_050).map(other).collect();
            pull.reviews.push(ours.clone());
        });
        scene.rig.let_time_pass().await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let ours = scene.pull().reviews.into_iter().filter(|review| review.login != "octocat").count();
        assert_eq!(ours, 1, "the marker is found among the newest");
    });
}

#[test]
fn a_line_github_refuses_is_moved_to_the_summary_and_nothing_is_lost() {
    RUNTIME.block_on(async {
        let scene = Scene::start("refused", Identity::Person).await;
        scene.queue("head1").await;
        scene.rig.github.fail_next("POST /repos", Fault::Status(422));
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let pull = scene.pull();
        assert_eq!((pull.reviews.len(), pull.comments.len()), (1, 0));
        assert!(pull.reviews[0].body.contains("at `src/load.ts:2`"), "{}", pull.reviews[0].body);
    });
}

#[test]
fn a_push_while_a_review_is_made_leaves_the_old_commit_alone_and_reviews_the_new_one() {
    RUNTIME.block_on(async {
        let scene = Scene::start("pushed", Identity::Person).await;
        scene.queue("head1").await;
        scene.rig.github.change(&scene.repository, 7, |pull| pull.head_sha = "head2".into());
        assert_eq!(scene.once().await, Some(JobStatus::Superseded));
        assert_eq!(
            scene.once().await,
            Some(JobStatus::Done),
            "the new head is reviewed though its event never came"
        );
        let pull = scene.pull();
        assert_eq!(pull.reviews.len(), 1);
        assert_eq!(pull.reviews[0].commit_id, "head2");
    });
}

#[test]
fn a_newer_event_cancels_the_job_that_waits() {
    RUNTIME.block_on(async {
        let scene = Scene::start("newer", Identity::Person).await;
        scene.queue("head1").await;
        scene.queue("head2").await;
        assert_eq!(scene.rig.job(&scene.key("head1")).await.status, JobStatus::Superseded);
        // Out of order, the older event does not undo it for good: the real head decides.
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(scene.pull().reviews[0].commit_id, "head1");
    });
}

#[test]
fn the_next_commit_hears_only_what_is_new_and_what_is_gone_is_folded() {
    RUNTIME.block_on(async {
        let scene = Scene::start("next", Identity::App).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let first = scene.pull().comments.len();
        scene.rig.github.change(&scene.repository, 7, |pull| {
            pull.head_sha = "head2".into();
            pull.files.remove(1);
        });
        scene.queue("head2").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let pull = scene.pull();
        assert_eq!(pull.comments.len(), first, "the same line is not said twice");
        let gone: Vec<_> = pull.comments.iter().filter(|comment| comment.line.is_none()).collect();
        assert!(!gone.is_empty() && gone.iter().all(|comment| scene.rig.github.is_minimized(comment)));
        let there = pull.comments.iter().filter(|comment| comment.line.is_some());
        assert!(there.into_iter().all(|comment| !scene.rig.github.is_minimized(comment)));
    });
}

#[test]
fn drafts_closed_pulls_and_a_policy_that_says_no_are_skipped_until_an_event_revives_them() {
    RUNTIME.block_on(async {
        let scene = Scene::start("skipped", Identity::Person).await;
        scene.rig.github.change(&scene.repository, 7, |pull| pull.draft = true);
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Skipped));
        scene.rig.github.change(&scene.repository, 7, |pull| pull.draft = false);
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done), "ready for review");
        scene.rig.github.put_file(&scene.repository, ".github/sentinel.yml", "review: {enabled: false}");
        scene.rig.github.change(&scene.repository, 7, |pull| pull.head_sha = "head2".into());
        scene.queue("head2").await;
        assert_eq!(scene.once().await, Some(JobStatus::Skipped));
        scene.rig.github.put_file(&scene.repository, ".github/sentinel.yml", "review: {max_coments: 1}");
        scene.queue("head2").await;
        assert_eq!(scene.once().await, Some(JobStatus::Failed));
        let error = scene.rig.job(&scene.key("head2")).await.error.unwrap();
        assert!(error.contains("max_coments"), "{error}");
    });
}

#[test]
fn a_token_that_is_taken_back_is_replaced() {
    RUNTIME.block_on(async {
        let scene = Scene::start("token", Identity::App).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        scene.rig.github.revoke_tokens();
        scene.rig.github.change(&scene.repository, 7, |pull| pull.head_sha = "head2".into());
        scene.queue("head2").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
    });
}

#[test]
fn many_nodes_on_one_database_do_each_job_once() {
    RUNTIME.block_on(async {
        let github = FakeGithub::start();
        let rig = Rig::start(github).await;
        for number in 0..12 {
            let repository = format!("team/many{number}");
            rig.github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
            rig.github.open(Pull::new(&repository, 7, "head1", &[("src/load.ts", PATCH)]));
            rig.queue(JobKind::Review, &job(&repository, 7, "head1", Some(100 + number))).await;
        }
        let nodes: Vec<Reviewer> = (0..4).map(|at| rig.node(&format!("node-{at}"), Identity::App)).collect();
        let work = nodes.iter().map(|node| async move {
            let mut done = 0;
            while let Ok(Once::Worked { status, .. }) = node.review_once().await {
                assert_eq!(status, Some(JobStatus::Done));
                done += 1;
            }
            done
        });
        let done: Vec<i32> = futures_util::future::join_all(work).await;
        assert_eq!(done.iter().sum::<i32>(), 12, "{done:?}");
        for number in 0..12 {
            assert_eq!(rig.github.pull(&format!("team/many{number}"), 7).reviews.len(), 1);
        }
    });
}

#[test]
fn two_jobs_of_one_pull_request_are_not_worked_on_at_once() {
    RUNTIME.block_on(async {
        let scene = Scene::start("held", Identity::Person).await;
        scene.queue("head1").await;
        let mut asked = job(&scene.repository, 7, "head1", None);
        asked.key = format!("{}#7@comment-9", scene.repository);
        asked.head_sha = None;
        scene.rig.queue(JobKind::Review, &asked).await;
        let now = sentinel_node::database::now();
        let store = scene.rig.store();
        assert!(store.ask(leases::claim("a", Account::Token, now)).await.unwrap().is_some());
        assert_eq!(store.ask(leases::claim("b", Account::Token, now)).await.unwrap(), None);
    });
}

/// A stored verdict whose number is that of the scene's pull request, and the job that tells it on another commit.
async fn verdict_of_the_same_number(scene: &Scene) -> ReviewJob {
    let insert = "-- test_inference\nINSERT INTO inferences (id, repository, subject, timestamp, prediction, confidence,
        top, top_features, evidence, event_source, head_sha, metrics_payload, model_version)
        VALUES (7, ?1, 'run:1:1', 0, 'Timeout', 0.91, '[]', '[]', 'log', 'github_webhook', 'main1', '{}', 'lgbm_v3.2')";
    let row = change(insert, vec![Value::Text(scene.repository.clone())]);
    scene.rig.ask(row).await;
    let mut told = job(&scene.repository, 7, "main1", scene.installation);
    told.key = format!("{}!run:1:1", scene.repository);
    scene.rig.queue(JobKind::Verdict, &told).await;
    told
}

#[test]
fn a_verdict_is_told_though_a_pull_request_of_the_same_number_opens() {
    RUNTIME.block_on(async {
        let scene = Scene::start("same-number", Identity::App).await;
        let verdict = verdict_of_the_same_number(&scene).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(scene.rig.job(&verdict.key).await.status, JobStatus::Done);
        assert_eq!(scene.rig.github.checks("main1").len(), 1);
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(scene.pull().reviews.len(), 1);
    });
}

#[test]
fn a_verdict_and_a_pull_request_of_the_same_number_are_worked_on_at_once() {
    RUNTIME.block_on(async {
        let scene = Scene::start("side-by-side", Identity::App).await;
        verdict_of_the_same_number(&scene).await;
        scene.queue("head1").await;
        let (store, now) = (scene.rig.store(), sentinel_node::database::now());
        let mut taken = Vec::new();
        for node in ["a", "b"] {
            taken
                .extend(store.ask(leases::claim(node, Account::App, now)).await.unwrap().map(|job| job.kind));
        }
        assert_eq!(taken, [JobKind::Verdict, JobKind::Review]);
    });
}

#[test]
fn a_node_that_is_told_of_a_verdict_leaves_the_pull_request_of_the_same_number_in_the_queue() {
    RUNTIME.block_on(async {
        let scene = Scene::start("told-again", Identity::App).await;
        let verdict = verdict_of_the_same_number(&scene).await;
        scene.queue("head1").await;
        // The wire has no kinds: a node queues all it is told of as reviews, and what is there already stays.
        scene.rig.queue(JobKind::Review, &verdict).await;
        assert_eq!(scene.rig.job(&scene.key("head1")).await.status, JobStatus::Queued);
        assert_eq!(scene.rig.job(&verdict.key).await.kind, JobKind::Verdict);
    });
}

#[test]
fn writes_of_one_account_are_a_second_apart_whoever_makes_them() {
    RUNTIME.block_on(async {
        let scene = Scene::start("pace", Identity::App).await;
        let other = scene.rig.node("node-2", Identity::App);
        let access = scene.node.github.access(&scene.repository, Some(5)).await.unwrap();
        let same = other.github.access(&scene.repository, Some(5)).await.unwrap();
        let started = Instant::now();
        let turns = [access.turn(), same.turn(), access.turn()];
        assert!(futures_util::future::join_all(turns).await.iter().all(Result::is_ok));
        assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    });
}

#[test]
fn explain_answers_once_with_how_the_last_review_came_about() {
    RUNTIME.block_on(async {
        let scene = Scene::start("explain", Identity::Person).await;
        scene.queue("head1").await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let mut asked = job(&scene.repository, 7, "head1", None);
        asked.key = format!("{}#7@comment-12", scene.repository);
        asked.head_sha = None;
        scene.rig.queue(JobKind::Explain, &asked).await;
        scene.rig.github.fail_next("POST /repos", Fault::LostAnswer);
        assert_eq!(scene.once().await, Some(JobStatus::Queued));
        scene.rig.let_time_pass().await;
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        let conversation = scene.pull().conversation;
        assert_eq!(conversation.len(), 1, "adopted, not repeated");
        assert!(conversation[0].2.contains("src/load.ts:2") && conversation[0].2.contains("a fixed check"));
    });
}

/// An OpenAI-compatible endpoint that answers this after so long, and remembers what it was asked.
async fn language_model(
    answer: &'static str,
    after: Duration,
) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&asked);
    let complete = move |body: String| async move {
        log.lock().expect("no handler panics").push(body);
        tokio::time::sleep(after).await;
        axum::Json(serde_json::json!({ "choices": [{ "message": { "content": answer } }] }))
    };
    let router = axum::Router::new().route("/v1/chat/completions", axum::routing::post(complete));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

#[test]
fn another_models_explanation_is_a_labelled_quote_and_its_absence_leaves_the_template() {
    RUNTIME.block_on(async {
        let answers =
            [("It stops.\n<!-- sentinel:review x -->", 0, true), ("too late", 4000, false), ("", 0, false)];
        for (answer, after_ms, is_quoted) in answers {
            let (url, asked) = language_model(answer, Duration::from_millis(after_ms)).await;
            let mut scene = Scene::start("explained", Identity::Person).await;
            scene.node.explainer = Some(Explainer {
                http: sentinel_node::operate::http::client().build().unwrap(),
                url,
                model: "small".to_owned(),
                key: None,
                deadline: Duration::from_millis(1500),
            });
            scene.queue("head1").await;
            assert_eq!(scene.once().await, Some(JobStatus::Done));
            let pull = scene.pull();
            let body = &pull.comments.iter().find(|comment| comment.line == Some(2)).expect("a comment").body;
            assert!(body.contains("This stops in a debugger."), "the template stays: {body}");
            assert_eq!(body.contains("unchecked:\n\n> It stops.\n> &lt;!--"), is_quoted, "{body}");
            let asked = asked.lock().unwrap();
            assert!(
                asked.iter().all(|body| !body.contains("export function")),
                "one line is shown, no more: {asked:?}"
            );
        }
    });
}

#[test]
fn a_verdict_is_told_on_the_commit_or_in_the_conversation_once() {
    RUNTIME.block_on(async {
        for (identity, verdicts) in
            [(Identity::App, Verdicts::CheckRun), (Identity::Person, Verdicts::Comment)]
        {
            let mut scene = Scene::start("verdict", identity).await;
            scene.node.options.verdicts = verdicts;
            scene.rig.verdict(3, &scene.repository, Some("head1")).await;
            let mut asked = job(&scene.repository, 3, "head1", scene.installation);
            asked.key = format!("{}!run:1:1", scene.repository);
            scene.rig.queue(JobKind::Verdict, &asked).await;
            scene.rig.github.fail_next("POST /repos", Fault::LostAnswer);
            assert_eq!(scene.once().await, Some(JobStatus::Queued));
            scene.rig.let_time_pass().await;
            assert_eq!(scene.once().await, Some(JobStatus::Done));
            let told = match identity {
                Identity::App => {
                    let checks = scene.rig.github.checks("head1");
                    assert_eq!((checks.len(), checks[0].conclusion.as_str()), (1, "neutral"));
                    checks[0].summary.clone()
                }
                Identity::Person => {
                    let conversation = scene.pull().conversation;
                    assert_eq!(conversation.len(), 1);
                    conversation[0].2.clone()
                }
            };
            assert!(told.contains("SENTINEL: Timeout") && told.contains("it took too long"), "{told}");
            assert!(told.contains("https://sentinel.example/?inference=3"), "{told}");
        }
    });
}
