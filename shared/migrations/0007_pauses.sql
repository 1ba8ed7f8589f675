-- What makes jobs wait that are not to blame: accounts on GitHub that are paused, and since when a job has trouble.

-- One row for each account that is paused, the same for all nodes.
CREATE TABLE IF NOT EXISTS breakers (
  -- An installation's id; 'other' for jobs whose event names none; 'app' or 'token' for all jobs of such nodes.
  account  TEXT    NOT NULL PRIMARY KEY,
  reason   TEXT    NOT NULL CHECK (reason IN ('github_away', 'limited', 'token_refused', 'key_refused')),
  -- What GitHub answered last.
  what     TEXT    NOT NULL,
  -- Unix seconds: when the trouble began, and from when on one job may try again.
  since    INTEGER NOT NULL,
  retry_at INTEGER NOT NULL,
  -- How many jobs met the trouble.
  tries    INTEGER NOT NULL
) WITHOUT ROWID;

-- Jobs that were put back without being to blame, until they end.
CREATE TABLE IF NOT EXISTS job_pauses (
  -- Of review_jobs.
  job_key TEXT    NOT NULL PRIMARY KEY,
  -- Unix seconds of the first pause.
  since   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS review_jobs_given_up ON review_jobs (finished_at) WHERE status IN ('dead', 'failed');
