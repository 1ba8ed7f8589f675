//! One job at a time through a real database, the real model and a GitHub that refuses what GitHub refuses.

use sentinel_node::github::DEADLINE;
use sentinel_node::reviewer::{Explainer, Once, Reviewer, Verdicts};
use sentinel_shared::review::render::{fingerprint_in, is_of_key};
use sentinel_shared::store::reviews::{self, JobKind, JobStatus};
use sentinel_shared::store::{Statement, Transaction, Value};
use sentinel_shared::webhook::DeliveryKey;
use sentinel_tests::github::{FakeGithub, Fault, Pull};
use sentinel_tests::node::{Identity, OUTSPOKEN, RUNTIME, Rig, job};
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
        assert_eq!((row.status.as_str(), row.attempts), ("done", 1));
        assert!(row.review_url.is_some() && row.result.is_some_and(|result| result.receipt.is_balanced()));
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
        assert!(!scene.node.hear_once().await.unwrap(), "a review is given some hours first");
        scene.rig.pretend(some_hours).await;
        assert!(scene.node.hear_once().await.unwrap());
        let first = [row("mona", "not_useful"), row("hubot", "useful")];
        assert_eq!(said().await, first, "what is not yes or no, and who says both, is left out");
        let result = scene.rig.job(&scene.key("head1")).await.result.expect("it was reviewed");
        let spoken_of = result.findings.iter().find(|finding| finding.path == "src/load.ts").expect("a finding");
        let about = &scene.rig.feedback().await[0];
        assert_eq!(about.finding, Some(spoken_of.fingerprint()));
        let original = format!("{}/{}", spoken_of.severity.label(), spoken_of.category.label());
        assert_eq!(about.original_pred, original);
        assert!(!scene.node.hear_once().await.unwrap(), "not again at once");

        react(&[("+1", "mona"), ("+1", "hubot")]);
        scene.rig.pretend(some_hours).await;
        scene.rig.github.fail_next("GET /repos", Fault::Status(502));
        assert!(scene.node.hear_once().await.unwrap());
        assert_eq!(said().await, first, "GitHub did not answer; nothing is made up");
        scene.rig.pretend(some_hours).await;
        assert!(scene.node.hear_once().await.unwrap());
        assert_eq!(said().await[0], row("mona", "useful"), "another mind");
        assert_eq!(said().await.len(), 3, "what hubot said already is not stored twice");

        let job = job(&scene.repository, 7, "head1", scene.installation);
        let delivery = DeliveryKey { hook: "hook".into(), id: "ignore-1".into() };
        let mute = reviews::mute(&delivery, "issue_comment", &job, "mona", sentinel_node::store::now());
        scene.rig.store().commit(&mute).await.unwrap();
        assert_eq!(said().await[0], row("mona", "dismissed"), "/sentinel ignore is an opinion too");

        scene.rig.pretend("-- test_weeks\nUPDATE review_jobs SET heard_at = 0, finished_at = finished_at - 2000000").await;
        assert!(!scene.node.hear_once().await.unwrap(), "an old review is not listened to any more");
    });
}

#[test]
fn what_the_worker_missed_is_asked_for_again_until_it_arrives_or_was_tried_often() {
    RUNTIME.block_on(async {
        let scene = Scene::start("missed", Identity::App).await;
        let (github, node) = (&scene.rig.github, &scene.node.github);
        for (guid, status) in [("taken", 202), ("refused", 401), ("lost", 503)] {
            github.delivered(guid, status);
        }
        github.hook_answers(502);
        assert_eq!(node.redeliver_missed().await, Ok(1));
        github.hook_answers(202);
        assert_eq!(node.redeliver_missed().await, Ok(1));
        assert_eq!(node.redeliver_missed().await, Ok(0), "it has arrived");
        assert_eq!(github.attempts_at("lost"), [503, 502, 202]);
        github.delivered("hopeless", 500);
        github.hook_answers(500);
        for expected in [1, 1, 1, 0] {
            assert_eq!(node.redeliver_missed().await, Ok(expected));
        }
        assert_eq!(github.attempts_at("hopeless").len(), 4);
        assert_eq!((github.attempts_at("taken").len(), github.attempts_at("refused").len()), (1, 1));
        let person = scene.rig.node("person", Identity::Person);
        assert_eq!(person.github.redeliver_missed().await, Ok(0), "a token has no webhook of its own");
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
        let due = scene.rig.store().read(&[reviews::due(sentinel_node::store::now() + 88)]).await.unwrap();
        assert!(due[0].rows.is_empty());
        let due = scene.rig.store().read(&[reviews::due(sentinel_node::store::now() + 91)]).await.unwrap();
        assert_eq!(due[0].rows.len(), 1);
    });
}

#[test]
fn after_three_errors_a_job_is_dead_visible_and_can_be_revived() {
    RUNTIME.block_on(async {
        let scene = Scene::start("dead", Identity::Person).await;
        scene.queue("head1").await;
        for expected in [JobStatus::Queued, JobStatus::Queued, JobStatus::Dead] {
            scene.rig.github.fail_next("GET /repos", Fault::Status(500));
            assert_eq!(scene.once().await, Some(expected));
            scene.rig.let_time_pass().await;
        }
        assert_eq!(scene.once().await, None);
        let key = scene.key("head1");
        scene
            .rig
            .store()
            .commit(&reviews::revive(
                sentinel_shared::access::Scope::All,
                Some(&key),
                sentinel_node::store::now(),
            ))
            .await
            .unwrap();
        assert_eq!(scene.once().await, Some(JobStatus::Done));
        assert_eq!(scene.pull().reviews.len(), 1);
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
        assert_eq!(scene.rig.job(&scene.key("head1")).await.status, "superseded");
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
        let now = sentinel_node::store::now();
        let store = scene.rig.store();
        let first = reviews::claimed(&store.commit(&reviews::claim("a", now)).await.unwrap()).unwrap();
        assert!(first.is_some());
        let second = reviews::claimed(&store.commit(&reviews::claim("b", now)).await.unwrap()).unwrap();
        assert_eq!(second, None);
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
                http: sentinel_node::http::client().build().unwrap(),
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
        for (identity, verdicts) in [(Identity::App, Verdicts::CheckRun), (Identity::Person, Verdicts::Comment)] {
            let mut scene = Scene::start("verdict", identity).await;
            scene.node.options.verdicts = verdicts;
            let insert = "-- test_inference\nINSERT INTO inferences (id, repository, subject, timestamp, prediction, confidence,
                top, top_features, log_line, evidence, event_source, head_sha, metrics_payload, model_version)
                VALUES (3, ?1, 'run:1:1', 0, 'Timeout', 0.91, '[]', '[]', '{\"number\":4,\"text\":\"it took too long\"}', 'log',
                'github_webhook', 'head1', '{}', 'lgbm_v3.2')";
            let row = Statement { sql: insert, args: vec![Value::Text(scene.repository.clone())] };
            scene.rig.store().commit(&Transaction(vec![row])).await.unwrap();
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
