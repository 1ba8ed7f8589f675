//! Reports of tests.

use crate::clock::now;
use crate::guard::Call;
use crate::{body, respond};
use sentinel_shared::api::reports::{ReportAnswer, ReportStatus};
use sentinel_shared::github::{CommitSha, RepositoryName};
use sentinel_shared::junit::{REPORT_LIMIT_BYTES, Report};
use sentinel_shared::store::history::reports::{self, NewReport};
use sentinel_shared::{Error, Result};
use worker::Response;

/// The types of XML (RFC 7303).
const CONTENT_TYPES: [&str; 2] = ["application/xml", "text/xml"];
/// The longest name of a job or a branch. GitHub cuts names of jobs at 100, and git's refs end at 255.
const NAME_CHARS: usize = 255;

/// `POST /api/reports?repository=owner/name&run=ID&job=NAME`, and `attempt=`, `sha=` and `branch=` if they are known:
///
/// 1. The parameters are checked (400), and the type of the body (415).
/// 2. The body is read while it streams in, up to its limit (413).
/// 3. It is read as JUnit's XML, without a DTD (422).
/// 4. It is stored in one round trip: 201 for a new report, 200 for one that was sent before. 404 where the key is limited to
///    an installation that told of no run of the repository.
pub(crate) async fn upload(Call { mut request, query, app, who, .. }: Call) -> Result<Response> {
    let repository = RepositoryName::parse(query.needed("repository")?)?;
    let (run, attempt) = (query.run()?, query.attempt()?.unwrap_or(1));
    let short = |text: &str| (1..=NAME_CHARS).contains(&text.chars().count()).then(|| text.to_owned());
    let job = query.read("job", "1 to 255 characters", short)?.ok_or(Error::ParameterMissing("job"))?;
    let branch = query.read("branch", "1 to 255 characters", short)?.unwrap_or_default();
    let sha = query.text("sha").map(CommitSha::parse).transpose()?.map_or_else(String::new, String::from);
    let content_type = request.headers().get("content-type").ok().flatten().unwrap_or_default();
    if !CONTENT_TYPES.contains(&content_type.split(';').next().unwrap_or_default().trim()) {
        return Err(Error::ReportTypeUnsupported);
    }

    let body = body::read(&mut request, REPORT_LIMIT_BYTES).await?;
    let report = Report::parse(&body)?;

    let new = NewReport {
        repository: repository.as_str(),
        run_id: run,
        run_attempt: attempt,
        job: &job,
        branch: &branch,
        head_sha: &sha,
        body: &body,
        report: &report,
    };
    let stored = app.database.ask(reports::record(who.scope, &new, now())).await?;
    let (http, status) =
        if stored.is_new { (201, ReportStatus::Recorded) } else { (200, ReportStatus::Unchanged) };
    let answer = ReportAnswer {
        status,
        repository: repository.into(),
        run,
        attempt,
        job,
        counts: report.counts(),
        tests: stored.tests,
    };
    respond::json(http, &answer)
}
