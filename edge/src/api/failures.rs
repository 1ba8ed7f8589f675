//! The memory of failures: causes, runs, failed jobs and tests, and what is red now.

use crate::clock::now;
use crate::guard::Call;
use crate::parameters::Parameters;
use crate::respond;
use sentinel_shared::api::failures::{CauseDetail, Causes, FailureDetail, Red, RunDetail, Tests, Told};
use sentinel_shared::store::history::causes::{self, CAUSES_LIMIT, CauseFilter, CauseState};
use sentinel_shared::store::history::tests::{self, TestFilter};
use sentinel_shared::store::history::{retries, runs};
use sentinel_shared::{Error, Result};
use worker::Response;

/// The rows of a list whose length is not asked for. A page shows so many without scrolling for long.
const ROWS_DEFAULT: u32 = 50;
/// The flaky tests of `GET /api/red`. They are an overview; `GET /api/tests` has all.
const RED_TESTS: u32 = 10;

/// `GET /api/causes?limit=1..100`, and of these only `repository=`, `branch=`, `class=`, `state=open|fixed`, `flaky=true`,
/// `author=`, `q=words` and `before=ID`; the last seen first.
pub(crate) async fn causes(Call { query, app, who, .. }: Call) -> Result<Response> {
    let filter = CauseFilter {
        repository: query.text("repository"),
        branch: query.text("branch"),
        class: query.text("class"),
        state: query.read("state", "open or fixed", CauseState::parse)?,
        flaky: flaky(&query)?,
        author: query.text("author"),
        words: query.text("q"),
        before: query.number("before")?,
    };
    let limit = rows(&query)?;
    let causes = app.database.ask(causes::causes(who.scope, filter, limit, now())).await?;
    let is_full = causes.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = causes.last().filter(|_| is_full).map(|cause| cause.id);
    respond::json(200, &Causes { causes, next })
}

/// `GET /api/cause?id=N`: a cause, where it occurs, and its last failures.
pub(crate) async fn cause(Call { query, app, who, .. }: Call) -> Result<Response> {
    let (id, now) = (query.id()?, now());
    let all = causes::cause(who.scope, id, now).and(causes::branches(id)).and(runs::of_cause(who.scope, id));
    let ((cause, branches), failures) = app.database.ask(all).await?;
    let seen = app.database.ask(causes::seen(cause.last.id)).await?;
    let about = failures.first().map(|last| Told::of(last, seen.as_ref(), now)).unwrap_or_default();
    respond::json(200, &CauseDetail { about, cause, branches, failures })
}

/// `GET /api/run?repository=owner/name&run=ID&attempt=N`: one attempt of a run, with its failed jobs.
pub(crate) async fn run(Call { query, app, who, .. }: Call) -> Result<Response> {
    let repository = query.needed("repository")?;
    let (run, attempt) = (query.run()?, query.attempt()?.ok_or(Error::ParameterMissing("attempt"))?);
    let both =
        runs::run(who.scope, repository, run, attempt).and(runs::of_run(who.scope, repository, run, attempt));
    let all = both.and(retries::of_run(who.scope, repository, run));
    let ((run, failures), retry) = app.database.ask(all).await?;
    if run.is_none() && failures.is_empty() {
        return Err(Error::NotFound);
    }
    let seen = match failures.first() {
        Some(headline) => app.database.ask(causes::seen(headline.id)).await?,
        None => None,
    };
    let about = failures.first().map(|headline| Told::of(headline, seen.as_ref(), now())).unwrap_or_default();
    respond::json(200, &RunDetail { run, about, failures, retry })
}

/// `GET /api/failure?id=N`: one failed job, by the id of its verdict.
pub(crate) async fn failure(Call { query, app, who, .. }: Call) -> Result<Response> {
    let id = query.id()?;
    let (failure, seen) = app.database.ask(runs::by_id(who.scope, id).and(causes::seen(id))).await?;
    let retry = match failure.run_id {
        Some(run) => app.database.ask(retries::of_run(who.scope, &failure.repository, run)).await?,
        None => None,
    };
    respond::json(200, &FailureDetail { about: Told::of(&failure, seen.as_ref(), now()), failure, retry })
}

/// `GET /api/tests?limit=1..100`, and of these only `repository=` and `flaky=true`; those first that passed most often when
/// they were tried again.
pub(crate) async fn tests(Call { query, app, who, .. }: Call) -> Result<Response> {
    let filter = TestFilter { repository: query.text("repository"), flaky: flaky(&query)? };
    let of = tests::tests(who.scope, filter, rows(&query)?, now());
    respond::json(200, &Tests { tests: app.database.ask(of).await? })
}

/// `GET /api/red`: what is red now on default branches, how long they stay red, and the flaky tests.
pub(crate) async fn red(Call { app, who, .. }: Call) -> Result<Response> {
    let now = now();
    let all = runs::red(who.scope, now).and(runs::recovery(who.scope, now)).and(tests::tests(
        who.scope,
        TestFilter { flaky: true, ..TestFilter::default() },
        RED_TESTS,
        now,
    ));
    let ((branches, recovery), flaky_tests) = app.database.ask(all).await?;
    respond::json(200, &Red { branches, recovery, flaky_tests })
}

fn rows(query: &Parameters) -> Result<u32> {
    let asked = query.within("limit", &(1..=CAUSES_LIMIT), "a whole number from 1 to 100")?;
    Ok(asked.unwrap_or(ROWS_DEFAULT))
}

fn flaky(query: &Parameters) -> Result<bool> {
    Ok(query.read("flaky", "true or false", |text| text.parse().ok())?.unwrap_or(false))
}
