-- Histograms of what arrived, in blocks of inferences: a window is the sum of the last blocks.
CREATE TABLE IF NOT EXISTS drift_cells (
  -- Whose bins these are.
  model_version   TEXT    NOT NULL,
  block           INTEGER NOT NULL,
  -- Whose inferences; 0 where there is no App.
  installation_id INTEGER NOT NULL,
  feature         TEXT    NOT NULL,
  bin             INTEGER NOT NULL,
  count           INTEGER NOT NULL,
  PRIMARY KEY (model_version, block, installation_id, feature, bin)
) WITHOUT ROWID;
