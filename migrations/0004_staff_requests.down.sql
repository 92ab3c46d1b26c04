-- Fails where replacements were issued: they cannot be kept without what asked for them.
DROP INDEX orders_license_unpaid;
CREATE INDEX orders_license_unpaid ON orders (id) WHERE license_id IS NOT NULL AND paid_at IS NULL;
ALTER TABLE orders DROP COLUMN request_id;
DROP INDEX issuances_request;
DROP INDEX issuances_live_key;
ALTER TABLE issuances DROP CONSTRAINT issuances_cause_check;
ALTER TABLE issuances DROP CONSTRAINT issuances_kind_check;
ALTER TABLE issuances ADD CONSTRAINT issuances_kind_check CHECK (kind IN ('new', 'renewal', 'top_up'));
ALTER TABLE issuances DROP COLUMN request_id;
ALTER TABLE issuances ALTER COLUMN order_id SET NOT NULL;
DROP TABLE staff_rotations;
DROP TABLE staff_assertions;
DROP FUNCTION refuse_self_approval();
DROP TABLE staff_requests;
