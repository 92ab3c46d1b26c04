DROP INDEX events_takes_back_open;
ALTER TABLE events DROP COLUMN takes_back CASCADE;
DROP TABLE license_revocations, revocation_changes, revocation_bundles;
DROP FUNCTION refuse_lower_epoch;
