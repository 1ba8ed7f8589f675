-- Reports of tests: how often tests ran and failed, which webhooks do not tell. A test that never failed has no row: of
-- tests with a row, the runs are counted by day. So a report of 20,000 tests writes a row for each that ever failed.

-- A report of one job of one attempt of a run. Sending it again changes nothing.
CREATE TABLE IF NOT EXISTS reports (
  id              INTEGER PRIMARY KEY,
  repository      TEXT    NOT NULL,
  installation_id INTEGER,
  run_id          INTEGER NOT NULL,
  run_attempt     INTEGER NOT NULL,
  job             TEXT    NOT NULL,
  -- Of its bytes, since a job may send several.
  digest          TEXT    NOT NULL,
  branch          TEXT    NOT NULL,
  head_sha        TEXT    NOT NULL,
  -- How many of its tests ended how, and how many seconds they took.
  passed          INTEGER NOT NULL,
  passed_on_retry INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  skipped         INTEGER NOT NULL,
  seconds         REAL    NOT NULL,
  received_at     INTEGER NOT NULL,
  -- 1 once its tests are counted.
  counted         INTEGER NOT NULL DEFAULT 0,
  UNIQUE (repository, run_id, run_attempt, job, digest)
);

CREATE INDEX IF NOT EXISTS reports_of_commit ON reports (repository, head_sha, job);
CREATE INDEX IF NOT EXISTS reports_received ON reports (received_at);

-- The tests that failed in a report. While a report is counted, those of its tests that ever failed.
CREATE TABLE IF NOT EXISTS report_tests (
  report_id INTEGER NOT NULL,
  test_id   INTEGER NOT NULL,
  -- 0 it passed, 1 it passed on retry in the same report, 2 it failed, 3 it failed and passed in another attempt.
  outcome   INTEGER NOT NULL,
  PRIMARY KEY (report_id, test_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS report_tests_of_test ON report_tests (test_id);

-- How many reports of a day have a test that ran, and in how many it failed, at first or for good.
CREATE TABLE IF NOT EXISTS test_days (
  test_id  INTEGER NOT NULL,
  -- Days since 1970-01-01.
  day      INTEGER NOT NULL,
  runs     INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  PRIMARY KEY (test_id, day)
) WITHOUT ROWID;

-- In how many reports it failed, and in how many of these it passed on retry.
ALTER TABLE tests ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tests ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;

CREATE INDEX IF NOT EXISTS tests_by_retried ON tests (passed + retried, last_at);
CREATE INDEX IF NOT EXISTS tests_of_repository_by_retried ON tests (repository, passed + retried, last_at);

CREATE TRIGGER IF NOT EXISTS report_tests_counted AFTER INSERT ON report_tests WHEN new.outcome <> 0
BEGIN
  UPDATE tests SET reported = reported + 1, retried = retried + (new.outcome <> 2) WHERE id = new.test_id;
END;
CREATE TRIGGER IF NOT EXISTS report_tests_passed AFTER UPDATE OF outcome ON report_tests WHEN old.outcome = 2 AND new.outcome = 3
BEGIN
  UPDATE tests SET retried = retried + 1 WHERE id = new.test_id;
END;
CREATE TRIGGER IF NOT EXISTS report_tests_uncounted AFTER DELETE ON report_tests WHEN old.outcome <> 0
BEGIN
  UPDATE tests SET reported = reported - 1, retried = retried - (old.outcome <> 2) WHERE id = old.test_id;
  DELETE FROM tests WHERE id = old.test_id AND failures = 0 AND reported = 0;
END;
CREATE TRIGGER IF NOT EXISTS reports_forget_tests AFTER DELETE ON reports
BEGIN
  DELETE FROM report_tests WHERE report_id = old.id;
END;
CREATE TRIGGER IF NOT EXISTS tests_forget_days AFTER DELETE ON tests
BEGIN
  DELETE FROM test_days WHERE test_id = old.id;
END;

-- As before, but a test that reports know stays.
DROP TRIGGER IF EXISTS failures_forget_tests;
CREATE TRIGGER failures_forget_tests AFTER DELETE ON failures
BEGIN
  DELETE FROM tests WHERE failures = 1 AND reported = 0 AND id IN (SELECT test_id FROM failed_tests WHERE failure_id = old.id);
  UPDATE tests SET failures = failures - 1, passed = passed - (old.passed_at IS NOT NULL)
    WHERE id IN (SELECT test_id FROM failed_tests WHERE failure_id = old.id);
  DELETE FROM failed_tests WHERE failure_id = old.id;
END;
