-- Reviews of pull requests: the outbox the edge writes, and the queue from which nodes take work by lease.
CREATE TABLE IF NOT EXISTS review_jobs (
  id              INTEGER PRIMARY KEY,
  -- <repository>#<number>@<head>, or @comment-<id> where a person asked.
  key             TEXT    NOT NULL UNIQUE,
  kind            TEXT    NOT NULL CHECK (kind IN ('review', 'explain', 'verdict')),
  repository      TEXT    NOT NULL,
  -- The pull request; for a verdict the inference.
  number          INTEGER NOT NULL,
  -- NULL until the node has asked, for what a comment asked for.
  base_sha        TEXT,
  head_sha        TEXT,
  installation_id INTEGER,
  status          TEXT    NOT NULL
    CHECK (status IN ('queued', 'running', 'done', 'skipped', 'failed', 'dead', 'superseded')),
  -- How often a node took it, and how often that ended in an error.
  attempts        INTEGER NOT NULL DEFAULT 0,
  failures        INTEGER NOT NULL DEFAULT 0,
  lease_owner     TEXT,
  -- Unix seconds: until when its node may be assumed alive, and from when a queued job may be taken.
  lease_until     INTEGER NOT NULL DEFAULT 0,
  not_before      INTEGER NOT NULL DEFAULT 0,
  created_at      INTEGER NOT NULL,
  finished_at     INTEGER,
  error           TEXT,
  -- JSON of what the review found, stored before anything is posted: a second try posts the same.
  result          TEXT,
  review_url      TEXT,
  -- When reactions to what was posted were read last.
  heard_at        INTEGER
);

CREATE INDEX IF NOT EXISTS review_jobs_open ON review_jobs (status, not_before) WHERE status IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS review_jobs_pull ON review_jobs (repository, number);

-- Pull requests whose people asked for silence.
CREATE TABLE IF NOT EXISTS muted_pulls (
  repository TEXT    NOT NULL,
  number     INTEGER NOT NULL,
  muted_by   TEXT    NOT NULL,
  muted_at   INTEGER NOT NULL,
  PRIMARY KEY (repository, number)
) WITHOUT ROWID;

-- What was written to GitHub in the last hour, so that all nodes together keep to its limits.
CREATE TABLE IF NOT EXISTS github_writes (
  account TEXT    NOT NULL,
  at_ms   INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS github_writes_recent ON github_writes (account, at_ms);
