-- What people said about a verdict. Rows are only added, so who said what when can be read back; the last one counts.
CREATE TABLE IF NOT EXISTS feedback (
  id           INTEGER PRIMARY KEY,
  inference_id INTEGER NOT NULL REFERENCES inferences (id),
  -- The verdict at that time.
  original     TEXT    NOT NULL,
  corrected    TEXT    NOT NULL,
  author       TEXT    NOT NULL,
  created_at   INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS feedback_inference ON feedback (inference_id, id);

-- What the model read, masked, so that a correction can be learned from and a verdict replayed. Kept for a while.
CREATE TABLE IF NOT EXISTS telemetry (
  inference_id INTEGER PRIMARY KEY REFERENCES inferences (id),
  telemetry    TEXT    NOT NULL,
  stored_at    INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS telemetry_stored ON telemetry (stored_at);
