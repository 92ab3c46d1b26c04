-- Revocation bundles as the signer made them, and what the newest says of each license. Bundles are evidence: they are kept
-- as they arrived, and a bundle never comes after one of a higher epoch.

CREATE TABLE revocation_bundles (
    epoch      bigint PRIMARY KEY CHECK (epoch > 0),
    envelope   bytea NOT NULL CHECK (octet_length(envelope) <= 33554432),
    sha256     text NOT NULL CHECK (sha256 = encode(sha256(envelope), 'hex')),
    entries    integer NOT NULL CHECK (entries >= 0),
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > issued_at),
    stored_at  timestamptz NOT NULL
);
-- Whoever inserts holds the table against others, so that the highest epoch here is the highest there is.
CREATE FUNCTION refuse_lower_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch <= (SELECT max(epoch) FROM revocation_bundles) THEN
        RAISE EXCEPTION 'revocation epoch % is not above the last', NEW.epoch USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER revocation_bundles_grow BEFORE INSERT ON revocation_bundles FOR EACH ROW EXECUTE FUNCTION refuse_lower_epoch();
CREATE TRIGGER revocation_bundles_keep BEFORE UPDATE OR DELETE ON revocation_bundles FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What each bundle changed. A license may be one that this portal did not issue.
CREATE TABLE revocation_changes (
    license_id    text NOT NULL,
    epoch         bigint NOT NULL REFERENCES revocation_bundles (epoch),
    was           text NOT NULL, -- the status before; '' for none
    status        text NOT NULL CHECK (status IN ('revoked', 'suspended', 'superseded', 'reinstated')),
    reason        text NOT NULL,
    effective_at  timestamptz, -- null: at once; of a reinstatement, when its bundle was issued
    superseded_by text NOT NULL,
    PRIMARY KEY (license_id, epoch)
);
CREATE INDEX revocation_changes_epoch ON revocation_changes (epoch);
CREATE TRIGGER revocation_changes_keep BEFORE UPDATE OR DELETE ON revocation_changes FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What the newest bundle says: the changes of all of them, one after another.
CREATE TABLE license_revocations (
    license_id    text PRIMARY KEY,
    epoch         bigint NOT NULL REFERENCES revocation_bundles (epoch), -- that said so first
    status        text NOT NULL CHECK (status IN ('revoked', 'suspended', 'superseded')),
    reason        text NOT NULL,
    effective_at  timestamptz,
    superseded_by text NOT NULL
);

-- Of a refund or dispute, the payment intent that it takes back. It is found again when that payment's license is issued.
ALTER TABLE events ADD COLUMN takes_back text NOT NULL DEFAULT '';
CREATE INDEX events_takes_back ON events (takes_back) WHERE takes_back <> '';
CREATE INDEX events_takes_back_open ON events (received_at) WHERE outcome = '' AND type LIKE 'charge.%';
CREATE TRIGGER events_keep_takes_back BEFORE UPDATE OF takes_back ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
