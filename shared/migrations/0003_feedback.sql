-- What people said about a verdict or a finding. Rows are only added, so who said what when can be read back; the
-- last one counts.
CREATE TABLE IF NOT EXISTS feedback (
  id           INTEGER PRIMARY KEY,
  inference_id INTEGER REFERENCES inferences (id),
  -- Or the review job and the fingerprint of its finding; * where the whole review was dismissed.
  job_key      TEXT    REFERENCES review_jobs (key),
  finding      TEXT,
  -- The verdict at that time; of a finding its severity and category.
  original     TEXT    NOT NULL,
  -- A class; of a finding useful, not_useful or dismissed.
  corrected    TEXT    NOT NULL,
  author       TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  -- That of what it is about.
  installation_id INTEGER,
  CHECK ((inference_id IS NULL) = (job_key IS NOT NULL AND finding IS NOT NULL))
);

CREATE INDEX IF NOT EXISTS feedback_inference ON feedback (inference_id, id);
CREATE INDEX IF NOT EXISTS feedback_finding ON feedback (job_key, finding, id) WHERE job_key IS NOT NULL;

-- What the model read, masked, so that a correction can be learned from and a verdict replayed. Kept for a while.
CREATE TABLE IF NOT EXISTS telemetry (
  inference_id INTEGER PRIMARY KEY REFERENCES inferences (id),
  telemetry    TEXT    NOT NULL,
  stored_at    INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS telemetry_stored ON telemetry (stored_at);
