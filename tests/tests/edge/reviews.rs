//! Pull requests through the worker, over gRPC-web to a node process, and onto the fake GitHub.

use super::{DATABASE_TOKEN, Outcome, SECRET, World, database_call, same, text_log};
use sentinel_tests::deliver::{self, Delivery};
use sentinel_tests::github::{FakeGithub, Fault, PERSON, Pull, TOKEN};
use sentinel_tests::stack::{Programs, Server};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const NODE_TOKEN: &str = "node token of the tests";
const PATCH: &str = "@@ -1,2 +1,3 @@\n export function load() {\n+  debugger;\n }\n";
/// How often the worker is killed: each costs a second.
const DEATHS: u64 = 12;

/// What the worker is told of its node.
pub(super) fn node_settings(port: u16) -> [(&'static str, String); 3] {
    [
        ("SENTINEL_NODE_URL", format!("http://127.0.0.1:{port}")),
        ("SENTINEL_NODE_TOKEN", NODE_TOKEN.to_owned()),
        ("SENTINEL_PUBLISH_VERDICTS", "on".to_owned()),
    ]
}

/// A node process that is told of jobs.
pub(super) fn start_node(
    programs: &Programs,
    folder: &Path,
    port: u16,
    github: &FakeGithub,
    database: &str,
) -> anyhow::Result<Server> {
    let vars = [
        ("SENTINEL_NODE_TOKEN", NODE_TOKEN.to_owned()),
        ("TURSO_DATABASE_URL", database.to_owned()),
        ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
        ("GITHUB_TOKEN", TOKEN.to_owned()),
        ("GITHUB_API_URL", github.api_url()),
        ("SENTINEL_VERDICTS", "comment".to_owned()),
        ("SENTINEL_DASHBOARD_URL", "https://sentinel.example".to_owned()),
        ("SENTINEL_RETRY_SECONDS", "1".to_owned()),
    ];
    programs.start_node(folder, port, &vars)
}

impl World {
    /// An open pull request of its own repository.
    fn pull_request(&self) -> (String, Value) {
        let repository = format!("acme/pulls-{}", self.id());
        self.github.open(Pull::new(&repository, 7, "head1", &[("src/load.ts", PATCH)]));
        let payload = json!({
            "action": "opened", "number": 7, "repository": { "full_name": repository },
            "sender": { "login": "octocat", "type": "User" },
            "pull_request": { "number": 7, "state": "open", "draft": false, "head": { "sha": "head1" }, "base": { "sha": "base" } },
        });
        (repository, payload)
    }

    /// Starts the node again, where it was.
    pub(super) fn restart_node(&self) -> anyhow::Result<()> {
        let database = format!("http://127.0.0.1:{}", self.database_port);
        let node = start_node(&self.programs, &self.folder, self.node_port, &self.github, &database)?;
        *self.node.lock().expect("no trial panics holding it") = Some(node);
        Ok(())
    }

    fn deliver_as(&self, event: &str, payload: &Value) -> Delivery {
        Delivery::signed(event, &format!("delivery-{}", self.id()), payload, SECRET)
    }

    /// Waits for the job at this location, and what the API then says of it. The waiting asks the database: the API
    /// counts its callers.
    fn until_job_is(&self, location: &str, status: &str) -> anyhow::Result<Value> {
        let key = location.trim_start_matches("/api/job?key=").replace("%23", "#");
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let found =
                database_call(self, &format!("SELECT status, error FROM review_jobs WHERE key = '{key}'"))?;
            if found["rows"][0][0]["value"] == status {
                return Ok(self.get(location)?.body);
            }
            anyhow::ensure!(Instant::now() < deadline, "{key} is not {status}: {}", found["rows"]);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub(super) fn one_review(world: &World) -> Outcome {
    let (repository, payload) = world.pull_request();
    let delivery = world.deliver_as("pull_request", &payload);
    let answer = world.post(&delivery)?;
    same(&answer.status, &202, &answer.body)?;
    let location = answer.location.ok_or("a 202 says where the job is")?;
    let job = world.until_job_is(&location, "done")?;
    same(&job["result"]["findings"][0]["line"], &json!(2), &job)?;
    // The same delivery again, and another about the same commit.
    let again = [world.post(&delivery)?, world.post(&world.deliver_as("pull_request", &payload))?];
    for answer in again {
        same(&answer.body["status"], &json!("duplicate"), &answer.body)?;
    }
    let pull = world.github.pull(&repository, 7);
    same(&(pull.reviews.len(), pull.comments.len()), &(1, 1), &"reviews and comments")?;
    same(&pull.comments[0].line, &Some(2), &"the line of the comment")?;
    let listed = world.get("/api/jobs?status=done&limit=200")?.body;
    let is_listed =
        listed.as_array().is_some_and(|jobs| jobs.iter().any(|job| job["repository"] == json!(repository)));
    same(&is_listed, &true, &listed)
}

pub(super) fn node_away(world: &World) -> Outcome {
    *world.node.lock().expect("no trial panics holding it") = None;
    let (repository, payload) = world.pull_request();
    let answer = world.post(&world.deliver_as("pull_request", &payload))?;
    same(&answer.status, &202, &answer.body)?;
    let location = answer.location.ok_or("a 202 says where the job is")?;
    same(&world.get(&location)?.body["status"], &json!("queued"), &"without a node")?;
    world.restart_node()?;
    deliver::get(&world.worker.url, "/__scheduled", None)?;
    world.until_job_is(&location, "done")?;
    same(&world.github.pull(&repository, 7).reviews.len(), &1, &"reviews")
}

pub(super) fn github_away(world: &World) -> Outcome {
    let (repository, payload) = world.pull_request();
    world.github.set_weather(Some(Fault::Status(503)));
    let answer = world.post(&world.deliver_as("pull_request", &payload))?;
    same(&answer.status, &202, &answer.body)?;
    let location = answer.location.ok_or("a 202 says where the job is")?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let metric = "sentinel_breakers_open{reason=\"github_away\"} 1\n";
    let node = format!("http://127.0.0.1:{}", world.node_port);
    while !deliver::get(&node, "/metrics", None)?.body.as_str().is_some_and(|text| text.contains(metric)) {
        same(&(Instant::now() < deadline), &true, &"the node counts what is paused")?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let open = world.get("/api/breakers")?.body;
    let told = [&open[0]["account"], &open[0]["reason"], &open[0]["waiting"], &open[0]["meaning"]];
    same(&told, &[&json!("token"), &json!("github_away"), &json!(1), &json!("GitHub is away")], &open)?;
    let job = world.get(&location)?.body;
    let told = [&job["status"], &job["wait"]["reason"], &job["attempts"], &job["failures"]];
    same(&told, &[&json!("queued"), &json!("github_away"), &json!(0), &json!(0)], &job)?;
    world.github.set_weather(None);
    world.until_job_is(&location, "done")?;
    same(&world.github.pull(&repository, 7).reviews.len(), &1, &"reviews")?;
    same(&world.get("/api/breakers")?.body, &json!([]), &"nothing is paused any more")
}

pub(super) fn commands(world: &World) -> Outcome {
    let (repository, payload) = world.pull_request();
    let comment = |text: &str, login: &str| {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sample/issue_comment.json");
        let mut comment: Value = serde_json::from_str(&std::fs::read_to_string(sample)?)?;
        comment["repository"]["full_name"] = json!(repository);
        comment["issue"]["number"] = json!(7);
        comment["issue"]["pull_request"] = json!({ "url": "https://api.github.com/pulls/7" });
        comment["comment"]["id"] = json!(world.id());
        comment["comment"]["body"] = json!(text);
        comment["comment"]["user"]["login"] = json!(login);
        comment["comment"]["author_association"] = json!("COLLABORATOR");
        anyhow::Ok(comment)
    };
    let say =
        |text: &str, login: &str| world.post(&world.deliver_as("issue_comment", &comment(text, login)?));
    world.github.permit(&repository, "maintainer", "write");
    world.github.permit(&repository, "reader", "read");
    let refused = say("/sentinel review", "reader")?;
    same(&refused.body["reason"], &json!("no_write_access"), &refused.body)?;
    // Asked for silence, a push is not reviewed.
    same(&say("/sentinel ignore", "maintainer")?.body["status"], &json!("muted"), &"ignore")?;
    let muted = world.post(&world.deliver_as("pull_request", &payload))?;
    same(&muted.body["reason"], &json!("muted"), &muted.body)?;
    // Asked for a review, it speaks again, and explains itself.
    let asked = say("/sentinel review", "maintainer")?;
    world.until_job_is(&asked.location.ok_or("a job")?, "done")?;
    same(&world.github.pull(&repository, 7).reviews.len(), &1, &"reviews")?;
    let asked = say("/sentinel explain", "maintainer")?;
    world.until_job_is(&asked.location.ok_or("a job")?, "done")?;
    let conversation = world.github.pull(&repository, 7).conversation;
    same(&conversation.len(), &1, &"answers")?;
    same(&conversation[0].2.contains("src/load.ts:2"), &true, &conversation[0].2)
}

pub(super) fn worker_dies(world: &World) -> Outcome {
    let database = format!("http://127.0.0.1:{}", world.database_port);
    let mut vars = super::vars(&world.github, &database);
    vars.extend(node_settings(world.node_port));
    let mut locations = Vec::new();
    for death in 0..DEATHS {
        let (repository, payload) = world.pull_request();
        let delivery = world.deliver_as("pull_request", &payload);
        let folder = world.folder.join(format!("dying-{death}"));
        let dying = world.programs.start_workerd(&folder, &vars)?;
        let url = dying.url.clone();
        // From before the request is read until after the node was told, a few milliseconds apart.
        let sender = std::thread::spawn(move || {
            let answer = delivery.post(&url);
            (delivery, answer)
        });
        std::thread::sleep(Duration::from_millis(4 * death));
        dying.kill();
        let (delivery, first) = sender.join().map_err(|_| "the sender panicked")?;
        // GitHub shows a delivery red that was not answered; an operator delivers it again.
        if first.is_err() {
            let again = world.post(&delivery)?;
            same(&matches!(again.status, 200 | 202), &true, &again.body)?;
        }
        locations.push((repository.clone(), format!("/api/job?key={repository}%237@head1")));
    }
    deliver::get(&world.worker.url, "/__scheduled", None)?;
    for (repository, location) in locations {
        world.until_job_is(&location, "done")?;
        let pull = world.github.pull(&repository, 7);
        same(&(pull.reviews.len(), pull.comments.len()), &(1, 1), &repository)?;
    }
    Ok(())
}

pub(super) fn verdict_published(world: &World) -> Outcome {
    let mut payload = world.failed_run(text_log(super::PYTEST_LOG));
    let repository = payload["repository"]["full_name"].as_str().unwrap_or_default().to_owned();
    let head = format!("head{}", payload["workflow_run"]["id"]);
    payload["workflow_run"]["head_sha"] = json!(head);
    world.github.open(Pull::new(&repository, 3, &head, &[("src/load.ts", PATCH)]));
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.status, &200, &answer.body)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let told = loop {
        let conversation = world.github.pull(&repository, 3).conversation;
        if let Some(told) = conversation.into_iter().next() {
            break told;
        }
        deliver::get(&world.worker.url, "/__scheduled", None)?;
        let jobs = database_call(world, "SELECT status, error FROM review_jobs WHERE kind = 'verdict'")?;
        same(&(Instant::now() < deadline), &true, &jobs)?;
        std::thread::sleep(Duration::from_millis(200));
    };
    same(&told.1.as_str(), &PERSON, &"the writer")?;
    let prediction = answer.body["inference"]["prediction"].as_str().unwrap_or_default();
    same(&told.2.contains(&format!("SENTINEL: {prediction}")), &true, &told.2)?;
    same(&told.2.contains("https://sentinel.example/?inference="), &true, &told.2)?;
    // A list of reviews leaves it out, one of verdicts has it, and one of no kind in particular too.
    for (asked, is_listed) in
        [("", true), ("&kind=verdict", true), ("&kind=review,explain", false), ("&kind=review", false)]
    {
        let jobs = world.get(&format!("/api/jobs?limit=200{asked}"))?.body;
        let kinds: Vec<&Value> = jobs
            .as_array()
            .into_iter()
            .flatten()
            .filter(|job| job["repository"] == json!(repository))
            .map(|job| &job["kind"])
            .collect();
        same(&(kinds == [&json!("verdict")]), &is_listed, &(asked, kinds))?;
    }
    let refused = world.get("/api/jobs?kind=review,pull")?;
    same(&refused.status, &400, &refused.body)?;
    same(
        &refused.body["detail"],
        &json!("kind must be review, explain or verdict, or several with commas"),
        &"an unknown kind",
    )
}
