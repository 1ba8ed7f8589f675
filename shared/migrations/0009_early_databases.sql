-- The first texts of 0002, 0003 and 0005 were edited before there was a release. A database that was made with one of
-- them lacks columns, though its version says that it has them. The key of one table and the NOT NULL of another were
-- different too, which SQLite changes only in a copy. No program that was released wrote to tables of the old shape.

-- Histograms without installations. What was counted then belongs to none.
-- only without: SELECT installation_id FROM drift_cells LIMIT 0
CREATE TABLE drift_cells_copy (
  model_version   TEXT    NOT NULL,
  block           INTEGER NOT NULL,
  installation_id INTEGER NOT NULL,
  feature         TEXT    NOT NULL,
  bin             INTEGER NOT NULL,
  count           INTEGER NOT NULL,
  PRIMARY KEY (model_version, block, installation_id, feature, bin)
) WITHOUT ROWID;
-- only without: SELECT installation_id FROM drift_cells LIMIT 0
INSERT INTO drift_cells_copy (model_version, block, installation_id, feature, bin, count)
  SELECT model_version, block, 0, feature, bin, count FROM drift_cells;
-- only without: SELECT installation_id FROM drift_cells LIMIT 0
DROP TABLE drift_cells;
-- only without: SELECT installation_id FROM drift_cells LIMIT 0
ALTER TABLE drift_cells_copy RENAME TO drift_cells;

-- Feedback about verdicts alone.
-- only without: SELECT job_key FROM feedback LIMIT 0
CREATE TABLE feedback_copy (
  id           INTEGER PRIMARY KEY,
  inference_id INTEGER REFERENCES inferences (id),
  job_key      TEXT    REFERENCES review_jobs (key),
  finding      TEXT,
  original     TEXT    NOT NULL,
  corrected    TEXT    NOT NULL,
  author       TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  installation_id INTEGER,
  CHECK ((inference_id IS NULL) = (job_key IS NOT NULL AND finding IS NOT NULL))
);
-- only without: SELECT job_key FROM feedback LIMIT 0
INSERT INTO feedback_copy (id, inference_id, original, corrected, author, created_at)
  SELECT id, inference_id, original, corrected, author, created_at FROM feedback;
-- only without: SELECT job_key FROM feedback LIMIT 0
DROP TABLE feedback;
-- only without: SELECT job_key FROM feedback LIMIT 0
ALTER TABLE feedback_copy RENAME TO feedback;

-- Feedback without installations.
-- only without: SELECT installation_id FROM feedback LIMIT 0
ALTER TABLE feedback ADD COLUMN installation_id INTEGER;
UPDATE feedback SET installation_id = COALESCE(
  (SELECT installation_id FROM inferences WHERE inferences.id = feedback.inference_id),
  (SELECT installation_id FROM review_jobs WHERE review_jobs.key = feedback.job_key)
) WHERE installation_id IS NULL;
CREATE INDEX IF NOT EXISTS feedback_inference ON feedback (inference_id, id);
CREATE INDEX IF NOT EXISTS feedback_finding ON feedback (job_key, finding, id) WHERE job_key IS NOT NULL;

-- Reviews from before reactions were read.
-- only without: SELECT heard_at FROM review_jobs LIMIT 0
ALTER TABLE review_jobs ADD COLUMN heard_at INTEGER;
