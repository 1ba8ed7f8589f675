-- Keys that the operator handed out. Only a hash is kept, so nobody who reads this table can use one.
CREATE TABLE IF NOT EXISTS api_keys (
  id              INTEGER PRIMARY KEY,
  name            TEXT    NOT NULL,
  -- SHA-256 of the key.
  digest          TEXT    NOT NULL UNIQUE,
  role            TEXT    NOT NULL CHECK (role IN ('read', 'admin')),
  -- The installation it is held to; NULL sees all.
  installation_id INTEGER,
  created_at      INTEGER NOT NULL,
  revoked_at      INTEGER
);

-- Browsers that are signed in.
CREATE TABLE IF NOT EXISTS sessions (
  -- SHA-256 of the cookie.
  digest     TEXT    PRIMARY KEY,
  -- The key it was opened with; NULL is the one of the configuration, and then this is a tag of that key, so that
  -- another one in its place ends the session.
  key_id     INTEGER REFERENCES api_keys (id),
  operator   TEXT,
  expires_at INTEGER NOT NULL,
  CHECK ((key_id IS NULL) <> (operator IS NULL))
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS inferences_installation ON inferences (installation_id, id);
CREATE INDEX IF NOT EXISTS review_jobs_installation ON review_jobs (installation_id, id);
CREATE INDEX IF NOT EXISTS deliveries_received ON deliveries (received_at);
