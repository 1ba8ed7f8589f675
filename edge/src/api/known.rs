//! A team's known issues that are made from causes' pages.

use crate::clock::now;
use crate::guard::Call;
use crate::{parameters, respond};
use sentinel_shared::api::failures::{KnownAnswer, KnownList, KnownRequest};
use sentinel_shared::store::history::known::{self, TRIED_MAX};
use sentinel_shared::{Error, Result};
use worker::Response;

/// `GET /api/known?repository=owner/name`: the known issues of a repository.
pub(crate) async fn list(Call { query, app, who, .. }: Call) -> Result<Response> {
    let known = known::of_repository(who.scope, query.needed("repository")?);
    respond::json(200, &KnownList { known: app.database.ask(known).await? })
}

/// `POST /api/known`: tries a pattern on the stored lines of the last 30 days, and keeps it unless it is too wide. With
/// `dry_run` it is only tried.
pub(crate) async fn make(Call { mut request, app, who, .. }: Call) -> Result<Response> {
    let KnownRequest { repository, dry_run, issue } = parameters::form(&mut request).await?;
    let issue = issue.check().map_err(Error::KnownRefused)?;
    let matcher = issue.pattern.matcher().map_err(Error::KnownRefused)?;
    let causes = app.database.ask(known::tried_on(who.scope, &repository, TRIED_MAX, now())).await?;
    let trial = matcher.try_on(&causes);
    let too_wide = trial.too_wide();
    if dry_run {
        return respond::json(200, &KnownAnswer { trial, too_wide, known: None });
    }
    if let Some(why) = too_wide {
        return Err(Error::KnownRefused(why));
    }
    let kept = app.database.ask(known::keep(who.scope, &repository, &issue, &who.name, now())).await?;
    respond::json(201, &KnownAnswer { trial, too_wide: None, known: Some(kept) })
}

/// `DELETE /api/known?id=7`: removes a known issue. What was said with it stays said.
pub(crate) async fn remove(Call { query, app, who, .. }: Call) -> Result<Response> {
    let id = query.id()?;
    respond::json(200, &app.database.ask(known::remove(who.scope, id)).await?)
}
