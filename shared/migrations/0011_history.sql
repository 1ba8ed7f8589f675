-- The memory of failures: which job of which run failed on which branch, what failures have in common, and what went
-- green again. Deliveries come late, twice and in any order, so each row is an observation with a key of its own, and
-- triggers keep the counts: they hold for an insert, an update and a deletion alike.

-- A completed attempt of a run. A green one is remembered too: it ends causes and shows that a failure was flaky.
CREATE TABLE IF NOT EXISTS runs (
  repository      TEXT    NOT NULL,
  run_id          INTEGER NOT NULL,
  run_attempt     INTEGER NOT NULL,
  installation_id INTEGER,
  workflow        TEXT    NOT NULL,
  branch          TEXT    NOT NULL,
  head_sha        TEXT    NOT NULL,
  -- The event that started it, such as push or pull_request.
  trigger         TEXT,
  author          TEXT,
  -- The number of its pull request, if GitHub tells it.
  pull            INTEGER,
  -- 1 on the repository's default branch.
  on_default      INTEGER NOT NULL DEFAULT 0,
  conclusion      TEXT    NOT NULL CHECK (conclusion IN ('success', 'failure')),
  -- Unix seconds.
  ended_at        INTEGER NOT NULL,
  -- How many jobs failed, and of how many of them no log was read.
  jobs_failed     INTEGER NOT NULL DEFAULT 0,
  jobs_unread     INTEGER NOT NULL DEFAULT 0,
  -- JSON: the names of jobs that passed although the run failed.
  passed_jobs     TEXT,
  PRIMARY KEY (repository, run_id, run_attempt)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS runs_green ON runs (repository, workflow, branch, run_id, run_attempt) WHERE conclusion = 'success';
CREATE INDEX IF NOT EXISTS runs_of_commit ON runs (repository, head_sha);
CREATE INDEX IF NOT EXISTS runs_ended ON runs (ended_at);

-- What failures have in common.
CREATE TABLE IF NOT EXISTS causes (
  -- Never given twice, since links hold it.
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  repository      TEXT    NOT NULL,
  installation_id INTEGER,
  -- Made by history::CauseKey.
  key             TEXT    NOT NULL,
  class           TEXT    NOT NULL,
  kind            TEXT,
  fault           TEXT    NOT NULL,
  -- The deciding line of its first failure, and JSON: the names of the failing tests.
  line            TEXT    NOT NULL,
  tests           TEXT    NOT NULL,
  -- Unix seconds of its first and last failure; how many there are; how many of them passed when tried again.
  first_at        INTEGER NOT NULL,
  last_at         INTEGER NOT NULL,
  times           INTEGER NOT NULL DEFAULT 0,
  passed          INTEGER NOT NULL DEFAULT 0,
  -- On how many branches it is not fixed.
  open_branches   INTEGER NOT NULL DEFAULT 0,
  UNIQUE (repository, key)
);

CREATE INDEX IF NOT EXISTS causes_last ON causes (last_at, id);
CREATE INDEX IF NOT EXISTS causes_of_repository ON causes (repository, last_at, id);
CREATE INDEX IF NOT EXISTS causes_of_installation ON causes (installation_id, last_at, id);

-- Where a cause occurs. It is fixed on a branch by the first green run of its workflow after its last failure there.
CREATE TABLE IF NOT EXISTS cause_branches (
  cause_id      INTEGER NOT NULL,
  workflow      TEXT    NOT NULL,
  branch        TEXT    NOT NULL,
  repository    TEXT    NOT NULL,
  on_default    INTEGER NOT NULL DEFAULT 0,
  times         INTEGER NOT NULL DEFAULT 0,
  first_at      INTEGER NOT NULL,
  last_at       INTEGER NOT NULL,
  -- The run of its last failure. GitHub's run ids grow, so they order the runs of a branch whenever they arrive.
  last_run_id   INTEGER NOT NULL,
  last_attempt  INTEGER NOT NULL,
  fixed_run_id  INTEGER,
  fixed_attempt INTEGER,
  fixed_sha     TEXT,
  fixed_at      INTEGER,
  PRIMARY KEY (cause_id, workflow, branch)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS cause_branches_of_branch ON cause_branches (repository, workflow, branch, fixed_run_id);
CREATE INDEX IF NOT EXISTS cause_branches_red ON cause_branches (on_default, last_at) WHERE fixed_run_id IS NULL;
CREATE INDEX IF NOT EXISTS cause_branches_fixed ON cause_branches (on_default, fixed_at) WHERE fixed_run_id IS NOT NULL;

-- One failed job of a run: its verdict has the same id in `inferences`.
CREATE TABLE IF NOT EXISTS failures (
  id              INTEGER PRIMARY KEY REFERENCES inferences (id),
  repository      TEXT    NOT NULL,
  installation_id INTEGER,
  -- The failure that its run is told by; NULL where it is told itself.
  headline_id     INTEGER,
  -- NULL where the delivery was about a job and did not name its run.
  run_id          INTEGER,
  run_attempt     INTEGER NOT NULL,
  job_id          INTEGER,
  workflow        TEXT    NOT NULL,
  job             TEXT    NOT NULL,
  branch          TEXT    NOT NULL,
  on_default      INTEGER NOT NULL DEFAULT 0,
  head_sha        TEXT    NOT NULL,
  trigger         TEXT,
  author          TEXT,
  pull            INTEGER,
  -- Unix seconds: when the job ended, else when it was heard of.
  failed_at       INTEGER NOT NULL,
  -- How many seconds it ran, if GitHub tells it.
  seconds         INTEGER,
  cause_id        INTEGER,
  kind            TEXT,
  -- code, platform or unknown.
  fault           TEXT    NOT NULL,
  advice          TEXT,
  docs            TEXT,
  -- JSON: what the log states, and the lines around the deciding one.
  facts           TEXT    NOT NULL,
  around          TEXT    NOT NULL,
  -- The run in which the same job passed on the same commit.
  passed_run_id   INTEGER,
  passed_attempt  INTEGER,
  passed_at       INTEGER
);

CREATE INDEX IF NOT EXISTS failures_of_cause ON failures (cause_id, failed_at, id);
CREATE INDEX IF NOT EXISTS failures_of_branch ON failures (cause_id, workflow, branch, run_id, run_attempt);
CREATE INDEX IF NOT EXISTS failures_of_run ON failures (repository, run_id, run_attempt);
CREATE INDEX IF NOT EXISTS failures_of_job ON failures (repository, job_id);
CREATE INDEX IF NOT EXISTS failures_of_commit ON failures (repository, head_sha);
CREATE INDEX IF NOT EXISTS failures_failed ON failures (failed_at, installation_id, seconds);
CREATE INDEX IF NOT EXISTS failures_of_author ON failures (author, cause_id);

-- Tests that failed, by the name that their runner gives them.
CREATE TABLE IF NOT EXISTS tests (
  id              INTEGER PRIMARY KEY,
  repository      TEXT    NOT NULL,
  installation_id INTEGER,
  name            TEXT    NOT NULL,
  failures        INTEGER NOT NULL DEFAULT 0,
  -- How many of these passed when the job was tried again.
  passed          INTEGER NOT NULL DEFAULT 0,
  first_at        INTEGER NOT NULL,
  last_at         INTEGER NOT NULL,
  UNIQUE (repository, name)
);

CREATE INDEX IF NOT EXISTS tests_by_passed ON tests (passed, last_at);
CREATE INDEX IF NOT EXISTS tests_of_repository ON tests (repository, passed, last_at);

CREATE TABLE IF NOT EXISTS failed_tests (
  failure_id INTEGER NOT NULL,
  test_id    INTEGER NOT NULL,
  PRIMARY KEY (failure_id, test_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS failed_tests_of_test ON failed_tests (test_id, failure_id);

-- Words of the lines and tests of causes.
CREATE VIRTUAL TABLE IF NOT EXISTS causes_words USING fts5 (line, tests, content = 'causes', content_rowid = 'id');

CREATE TRIGGER IF NOT EXISTS causes_inserted AFTER INSERT ON causes
BEGIN
  INSERT INTO causes_words (rowid, line, tests) VALUES (new.id, new.line, new.tests);
END;
CREATE TRIGGER IF NOT EXISTS causes_deleted AFTER DELETE ON causes
BEGIN
  INSERT INTO causes_words (causes_words, rowid, line, tests) VALUES ('delete', old.id, old.line, old.tests);
END;

-- A failure of a cause: the cause and its branch count it. A later green run may be known already.
CREATE TRIGGER IF NOT EXISTS failures_counted AFTER INSERT ON failures WHEN new.cause_id IS NOT NULL
BEGIN
  UPDATE causes SET times = times + 1, first_at = MIN(first_at, new.failed_at), last_at = MAX(last_at, new.failed_at),
    passed = passed + (new.passed_at IS NOT NULL) WHERE id = new.cause_id;
  INSERT INTO cause_branches (cause_id, workflow, branch, repository, on_default, times, first_at, last_at, last_run_id, last_attempt)
    VALUES (new.cause_id, new.workflow, new.branch, new.repository, new.on_default, 1, new.failed_at, new.failed_at,
      COALESCE(new.run_id, 0), new.run_attempt)
    ON CONFLICT (cause_id, workflow, branch) DO UPDATE SET times = times + 1, on_default = MAX(on_default, excluded.on_default),
      first_at = MIN(first_at, excluded.first_at), last_at = MAX(last_at, excluded.last_at),
      last_run_id = MAX(last_run_id, excluded.last_run_id),
      last_attempt = CASE WHEN excluded.last_run_id > last_run_id THEN excluded.last_attempt
        WHEN excluded.last_run_id = last_run_id THEN MAX(last_attempt, excluded.last_attempt) ELSE last_attempt END;
END;

-- A failure that goes: what counted it is counted anew from what is left.
CREATE TRIGGER IF NOT EXISTS failures_uncounted AFTER DELETE ON failures WHEN old.cause_id IS NOT NULL
BEGIN
  DELETE FROM cause_branches WHERE cause_id = old.cause_id AND workflow = old.workflow AND branch = old.branch AND times = 1;
  UPDATE cause_branches SET times = times - 1 WHERE cause_id = old.cause_id AND workflow = old.workflow AND branch = old.branch;
  DELETE FROM causes WHERE id = old.cause_id AND times = 1;
  UPDATE causes SET times = times - 1, passed = passed - (old.passed_at IS NOT NULL),
    first_at = COALESCE((SELECT MIN(failed_at) FROM failures WHERE cause_id = old.cause_id), first_at) WHERE id = old.cause_id;
END;
CREATE TRIGGER IF NOT EXISTS failures_forget_tests AFTER DELETE ON failures
BEGIN
  DELETE FROM tests WHERE failures = 1 AND id IN (SELECT test_id FROM failed_tests WHERE failure_id = old.id);
  UPDATE tests SET failures = failures - 1, passed = passed - (old.passed_at IS NOT NULL)
    WHERE id IN (SELECT test_id FROM failed_tests WHERE failure_id = old.id);
  DELETE FROM failed_tests WHERE failure_id = old.id;
END;

-- The job passed on the same commit.
CREATE TRIGGER IF NOT EXISTS failures_passed AFTER UPDATE OF passed_at ON failures
WHEN old.passed_at IS NULL AND new.passed_at IS NOT NULL
BEGIN
  UPDATE causes SET passed = passed + 1 WHERE id = new.cause_id;
  UPDATE tests SET passed = passed + 1 WHERE id IN (SELECT test_id FROM failed_tests WHERE failure_id = new.id);
END;

CREATE TRIGGER IF NOT EXISTS failed_tests_counted AFTER INSERT ON failed_tests
BEGIN
  UPDATE tests SET failures = failures + 1,
    passed = passed + (SELECT passed_at IS NOT NULL FROM failures WHERE id = new.failure_id),
    first_at = MIN(first_at, (SELECT failed_at FROM failures WHERE id = new.failure_id)),
    last_at = MAX(last_at, (SELECT failed_at FROM failures WHERE id = new.failure_id)) WHERE id = new.test_id;
END;

-- On how many branches a cause is open.
CREATE TRIGGER IF NOT EXISTS cause_branches_opened AFTER INSERT ON cause_branches WHEN new.fixed_run_id IS NULL
BEGIN
  UPDATE causes SET open_branches = open_branches + 1 WHERE id = new.cause_id;
END;
CREATE TRIGGER IF NOT EXISTS cause_branches_changed AFTER UPDATE OF fixed_run_id ON cause_branches
WHEN (old.fixed_run_id IS NULL) <> (new.fixed_run_id IS NULL)
BEGIN
  UPDATE causes SET open_branches = open_branches + (CASE WHEN new.fixed_run_id IS NULL THEN 1 ELSE -1 END) WHERE id = new.cause_id;
END;
CREATE TRIGGER IF NOT EXISTS cause_branches_closed AFTER DELETE ON cause_branches WHEN old.fixed_run_id IS NULL
BEGIN
  UPDATE causes SET open_branches = open_branches - 1 WHERE id = old.cause_id;
END;

-- A program of the release before knows nothing of failures, and deletes verdicts.
CREATE TRIGGER IF NOT EXISTS inferences_forget_failures AFTER DELETE ON inferences
BEGIN
  DELETE FROM failures WHERE id = old.id;
END;
