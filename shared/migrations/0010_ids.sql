-- SQLite gives a new row the highest id plus one, so the id of the newest row is given again after that row was deleted.
-- The ids of verdicts and jobs are kept elsewhere, in links and in the hands of nodes, so they must not be given twice.
-- AUTOINCREMENT would need a copy of both tables, which other tables refer to. Triggers need none, cost an insert one
-- look-up, and hold for an old program too.

-- The highest id that a table ever had, from the time when that row was deleted.
CREATE TABLE IF NOT EXISTS highest_ids (
  name TEXT    NOT NULL PRIMARY KEY,
  id   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS inferences_deleted AFTER DELETE ON inferences
WHEN NOT EXISTS (SELECT 1 FROM inferences WHERE id > old.id)
BEGIN
  INSERT INTO highest_ids (name, id) VALUES ('inferences', old.id)
    ON CONFLICT (name) DO UPDATE SET id = MAX(id, excluded.id);
END;
CREATE TRIGGER IF NOT EXISTS inferences_inserted AFTER INSERT ON inferences
WHEN new.id <= (SELECT id FROM highest_ids WHERE name = 'inferences')
BEGIN
  UPDATE inferences SET id = (SELECT id + 1 FROM highest_ids WHERE name = 'inferences') WHERE id = new.id;
END;

CREATE TRIGGER IF NOT EXISTS review_jobs_deleted AFTER DELETE ON review_jobs
WHEN NOT EXISTS (SELECT 1 FROM review_jobs WHERE id > old.id)
BEGIN
  INSERT INTO highest_ids (name, id) VALUES ('review_jobs', old.id)
    ON CONFLICT (name) DO UPDATE SET id = MAX(id, excluded.id);
END;
CREATE TRIGGER IF NOT EXISTS review_jobs_inserted AFTER INSERT ON review_jobs
WHEN new.id <= (SELECT id FROM highest_ids WHERE name = 'review_jobs')
BEGIN
  UPDATE review_jobs SET id = (SELECT id + 1 FROM highest_ids WHERE name = 'review_jobs') WHERE id = new.id;
END;
