-- Histograms of what arrived, in blocks of inferences: a window is the sum of the last blocks.
CREATE TABLE IF NOT EXISTS drift_cells (
  -- Whose bins these are.
  model_version TEXT    NOT NULL,
  block         INTEGER NOT NULL,
  feature       TEXT    NOT NULL,
  bin           INTEGER NOT NULL,
  count         INTEGER NOT NULL,
  PRIMARY KEY (model_version, block, feature, bin)
) WITHOUT ROWID;
