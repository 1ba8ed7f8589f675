-- The ledger of webhook deliveries: durable before GitHub is answered, and the queue of what is left to do.
CREATE TABLE IF NOT EXISTS deliveries (
  hook            TEXT    NOT NULL,
  id              TEXT    NOT NULL,
  event           TEXT    NOT NULL,
  repository      TEXT    NOT NULL,
  installation_id INTEGER,
  status          TEXT    NOT NULL CHECK (status IN ('queued', 'done', 'failed')),
  -- The FailureRecord as JSON, until the delivery is done.
  record          TEXT,
  attempts        INTEGER NOT NULL DEFAULT 1,
  -- Unix seconds until which whoever works on it may be assumed alive.
  lease_until     INTEGER NOT NULL,
  received_at     INTEGER NOT NULL,
  finished_at     INTEGER,
  PRIMARY KEY (hook, id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS deliveries_queued ON deliveries (lease_until) WHERE status = 'queued';

-- One verdict for each thing that failed.
CREATE TABLE IF NOT EXISTS inferences (
  id              INTEGER PRIMARY KEY,
  repository      TEXT    NOT NULL,
  -- run:<id>:<attempt> or job:<id>
  subject         TEXT    NOT NULL,
  installation_id INTEGER,
  timestamp       INTEGER NOT NULL,
  -- The class, or Unknown.
  prediction      TEXT    NOT NULL,
  confidence      REAL    NOT NULL,
  -- JSON: the three likeliest classes; the terms that decided; the log line pointed at.
  top             TEXT    NOT NULL,
  top_features    TEXT    NOT NULL,
  log_line        TEXT,
  evidence        TEXT    NOT NULL,
  event_source    TEXT    NOT NULL,
  workflow        TEXT,
  job             TEXT,
  step            TEXT,
  html_url        TEXT,
  head_sha        TEXT,
  -- JSON: the numerics and categories the model saw.
  metrics_payload TEXT    NOT NULL,
  model_version   TEXT    NOT NULL,
  UNIQUE (repository, subject)
);

CREATE INDEX IF NOT EXISTS inferences_timestamp ON inferences (timestamp);

-- Totals that survive a restart of every isolate.
CREATE TABLE IF NOT EXISTS counters (
  name  TEXT    NOT NULL,
  label TEXT    NOT NULL,
  value INTEGER NOT NULL,
  PRIMARY KEY (name, label)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS schema_migrations (
  version    INTEGER PRIMARY KEY,
  applied_at INTEGER NOT NULL
);
