-- What staff ask the signer to do, who stands by it, and what came of it. The text is what people approved: it is kept as it
-- was, and so is every assertion over its digest.

CREATE TABLE staff_requests (
    id          text PRIMARY KEY CHECK (id ~ '^req_[0-9A-Za-z]{1,64}$'),
    body        text NOT NULL CHECK (octet_length(body) <= 65536),
    digest      text NOT NULL UNIQUE CHECK (digest = encode(sha256(convert_to(body, 'UTF8')), 'hex')),
    action      text NOT NULL CHECK (action IN ('issue', 'replace', 'rotate', 'revoke')),
    proposer    text NOT NULL,
    subjects    text[] NOT NULL CHECK (cardinality(subjects) > 0), -- the order, the licenses, or the old key
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL CHECK (expires_at = created_at + interval '24 hours'),
    needed      smallint NOT NULL CHECK (needed BETWEEN 1 AND 2), -- people other than the proposer
    approved_at timestamptz, -- by the last of them
    begun_at    timestamptz, -- of a rotation: its licenses are listed
    license_id  text REFERENCES issuances (license_id), -- what was issued
    epoch       bigint, -- of the revocation bundle that says it
    ended_at    timestamptz,
    refusal     jsonb, -- why it ended without being done, or not whole
    CHECK (approved_at IS NOT NULL OR num_nonnulls(begun_at, license_id, epoch, ended_at) = 0),
    CHECK (refusal IS NULL OR ended_at IS NOT NULL)
);
CREATE INDEX staff_requests_list ON staff_requests (created_at DESC, id DESC);
CREATE INDEX staff_requests_subjects ON staff_requests USING gin (subjects);
CREATE INDEX staff_requests_under_way ON staff_requests (approved_at) WHERE approved_at IS NOT NULL AND ended_at IS NULL;
CREATE TRIGGER staff_requests_keep_text BEFORE UPDATE OF id, body, digest, action, proposer, subjects, created_at, expires_at ON staff_requests
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER staff_requests_keep BEFORE DELETE ON staff_requests FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A person stands by a request once: the proposer's row is the proposal, so that nobody approves their own.
CREATE TABLE staff_assertions (
    request_id         text NOT NULL REFERENCES staff_requests (id),
    name               text NOT NULL,
    approves           boolean NOT NULL,
    credential_id      text NOT NULL,
    authenticator_data bytea NOT NULL CHECK (octet_length(authenticator_data) <= 1024),
    client_data        bytea NOT NULL CHECK (octet_length(client_data) <= 4096),
    signature          bytea NOT NULL CHECK (octet_length(signature) <= 256),
    at                 timestamptz NOT NULL,
    PRIMARY KEY (request_id, name)
);
CREATE UNIQUE INDEX staff_assertions_one_proposal ON staff_assertions (request_id) WHERE NOT approves;
CREATE FUNCTION refuse_self_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.approves = (NEW.name = (SELECT proposer FROM staff_requests WHERE id = NEW.request_id)) THEN
        RAISE EXCEPTION 'a proposal is the proposer''s, and an approval somebody else''s' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER staff_assertions_others BEFORE INSERT ON staff_assertions FOR EACH ROW EXECUTE FUNCTION refuse_self_approval();
CREATE TRIGGER staff_assertions_keep BEFORE UPDATE OR DELETE ON staff_assertions FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The licenses of a rotation, each its own job.
CREATE TABLE staff_rotations (
    request_id  text NOT NULL REFERENCES staff_requests (id),
    license_id  text NOT NULL REFERENCES issuances (license_id),
    ended_at    timestamptz,
    replaced_by text REFERENCES issuances (license_id),
    note        text NOT NULL DEFAULT '', -- why it was passed over or refused
    PRIMARY KEY (request_id, license_id),
    CHECK (ended_at IS NOT NULL OR (replaced_by IS NULL AND note = ''))
);
CREATE INDEX staff_rotations_open ON staff_rotations (request_id) WHERE ended_at IS NULL;

-- A replacement has no order: a request asked for it.
ALTER TABLE issuances ALTER COLUMN order_id DROP NOT NULL;
ALTER TABLE issuances ADD COLUMN request_id text REFERENCES staff_requests (id);
ALTER TABLE issuances DROP CONSTRAINT issuances_kind_check;
ALTER TABLE issuances ADD CONSTRAINT issuances_kind_check CHECK (kind IN ('new', 'renewal', 'top_up', 'replacement'));
ALTER TABLE issuances ADD CONSTRAINT issuances_cause_check
    CHECK ((order_id IS NULL) = (kind = 'replacement') AND (order_id IS NOT NULL OR request_id IS NOT NULL));
CREATE INDEX issuances_live_key ON issuances (key_id, expires_at);
CREATE INDEX issuances_request ON issuances (request_id) WHERE request_id IS NOT NULL;

-- The request that stands for an order's payment.
ALTER TABLE orders ADD COLUMN request_id text REFERENCES staff_requests (id);
DROP INDEX orders_license_unpaid;
CREATE INDEX orders_license_unpaid ON orders (id) WHERE license_id IS NOT NULL AND paid_at IS NULL AND request_id IS NULL; -- stays empty
