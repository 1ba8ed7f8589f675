-- How a failure is related to the change of its pull request, and who owns its places. Both are JSON; NULL where it is not
-- known.
ALTER TABLE failures ADD COLUMN change TEXT;
ALTER TABLE failures ADD COLUMN owners TEXT;
