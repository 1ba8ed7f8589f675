-- What a reader should know of what a verdict was made from, in the words of `evidence::Note`. A row `log_awaited` says
-- that the verdict is made again, and that it is not counted yet.
CREATE TABLE IF NOT EXISTS evidence_notes (
  inference_id INTEGER NOT NULL REFERENCES inferences (id),
  note         TEXT    NOT NULL,
  PRIMARY KEY (inference_id, note)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS evidence_awaited ON evidence_notes (note) WHERE note = 'log_awaited';

-- Why GitHub gives nothing to the worker, and since when. No row while it answers.
CREATE TABLE IF NOT EXISTS github_trouble (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  -- token_refused, limited or away.
  state TEXT    NOT NULL,
  -- Unix seconds.
  since INTEGER NOT NULL
);
