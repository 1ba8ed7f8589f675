-- Models that were uploaded, and every change of which one serves. Rows are only added.
CREATE TABLE IF NOT EXISTS models (
  version     TEXT    PRIMARY KEY,
  -- SHA-256 of the signed bundle: its name in the bundle store.
  digest      TEXT    NOT NULL,
  -- JSON: the manifest, with metrics and the hash of the data.
  manifest    TEXT    NOT NULL,
  uploaded_by TEXT    NOT NULL,
  uploaded_at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS activations (
  id       INTEGER PRIMARY KEY,
  -- NULL is the model that is built into the worker.
  version  TEXT REFERENCES models (version),
  previous TEXT,
  action   TEXT    NOT NULL CHECK (action IN ('promote', 'rollback')),
  author   TEXT    NOT NULL,
  at       INTEGER NOT NULL
);
