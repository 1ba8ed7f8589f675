-- A team's known issues, and failed runs that were tried again without anybody asking.

-- Made from a cause's page. Those of the policy file stay in the file.
CREATE TABLE IF NOT EXISTS known_issues (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  repository      TEXT    NOT NULL,
  -- Only failures of this installation are matched.
  installation_id INTEGER,
  -- A text, or a regular expression.
  pattern         TEXT    NOT NULL,
  is_regex        INTEGER NOT NULL DEFAULT 0,
  advice          TEXT    NOT NULL,
  link            TEXT,
  -- 1 if a run that fails with it is tried again.
  retry           INTEGER NOT NULL DEFAULT 0,
  made_by         TEXT    NOT NULL,
  -- Unix seconds.
  made_at         INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS known_issues_of_repository ON known_issues (repository, installation_id, id);

-- One row for each commit and workflow, written before GitHub is asked: so it is asked at most once.
CREATE TABLE IF NOT EXISTS retries (
  repository      TEXT    NOT NULL,
  workflow        TEXT    NOT NULL,
  head_sha        TEXT    NOT NULL,
  installation_id INTEGER,
  run_id          INTEGER NOT NULL,
  -- known, flaky or infra.
  reason          TEXT    NOT NULL,
  -- How many failures its cause had then, and how many of them had passed on retry.
  times           INTEGER NOT NULL,
  passed          INTEGER NOT NULL,
  -- claimed: it is not known whether GitHub was asked. Else GitHub's answer: asked, refused, gone or unanswered.
  state           TEXT    NOT NULL DEFAULT 'claimed',
  -- What GitHub said to a refusal.
  answer          TEXT,
  -- Unix seconds.
  claimed_at      INTEGER NOT NULL,
  answered_at     INTEGER,
  PRIMARY KEY (repository, workflow, head_sha)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS retries_of_run ON retries (repository, run_id);
CREATE INDEX IF NOT EXISTS retries_claimed ON retries (claimed_at);

-- JSON: the known issue that a failure has, and sentences about what of the policy file did not count.
ALTER TABLE failures ADD COLUMN known TEXT;
ALTER TABLE failures ADD COLUMN remarks TEXT;
