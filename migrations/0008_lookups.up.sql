-- What is looked up among all orders, licenses and rotations, and not in an organization's.
CREATE INDEX orders_quotes ON orders (created_at DESC, id DESC) WHERE channel = 'quote';
CREATE INDEX orders_subscribing ON orders (deployment_id) WHERE channel = 'subscription';
CREATE INDEX license_revocations_revoked ON license_revocations (license_id) WHERE status = 'revoked';

-- The next license of a rotation, by which its last one is known.
DROP INDEX staff_rotations_open;
CREATE INDEX staff_rotations_open ON staff_rotations (request_id, license_id) WHERE ended_at IS NULL;
