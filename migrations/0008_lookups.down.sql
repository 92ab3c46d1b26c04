DROP INDEX staff_rotations_open;
CREATE INDEX staff_rotations_open ON staff_rotations (request_id) WHERE ended_at IS NULL;
DROP INDEX license_revocations_revoked, orders_subscribing, orders_quotes;
