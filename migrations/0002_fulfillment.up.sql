-- Orders, the inbox of events, issuances, and what hangs on them. What must never happen is refused here, not only in code:
-- one license an order, one order a fulfillment key, one open renewal a base, and no change to evidence or issued bytes.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE deployments (
    id              text PRIMARY KEY CHECK (id ~ '^dep_[0-9A-Za-z_-]{1,64}$'),
    organization_id text NOT NULL REFERENCES organizations (id),
    name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 80),
    created_at      timestamptz NOT NULL
);
CREATE UNIQUE INDEX deployments_name ON deployments (organization_id, lower(name));

CREATE TABLE orders (
    id              text PRIMARY KEY CHECK (id ~ '^ord_[0-9A-Za-z]{1,64}$'),
    organization_id text NOT NULL REFERENCES organizations (id),
    created_by      text NOT NULL REFERENCES users (id),
    buyer_email     text NOT NULL,
    mail_domain     text NOT NULL,
    deployment_id   text NOT NULL, -- its row is made when the order is frozen
    deployment_name text NOT NULL,
    state           text NOT NULL CHECK (state IN ('draft', 'awaiting_payment', 'processing', 'in_review', 'paid', 'issued', 'failed', 'canceled')),
    kind            text NOT NULL CHECK (kind IN ('new', 'renewal', 'top_up')),
    sku             text NOT NULL,
    template_ref    text NOT NULL,
    evaluation      boolean NOT NULL,
    snapshot        jsonb NOT NULL,
    currency        text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total           bigint NOT NULL CHECK (total >= 0),
    base_license_id text CHECK ((base_license_id IS NULL) = (kind = 'new')),
    form_key        text NOT NULL,
    reasons         jsonb NOT NULL DEFAULT '[]',
    released        jsonb NOT NULL DEFAULT '[]', -- reasons that staff released
    refusal         jsonb,                       -- the signer's last definite refusal; it blocks until staff let it decide again
    failure         text NOT NULL DEFAULT '',
    close_note      text NOT NULL DEFAULT '',
    license_id      text,
    revision        bigint NOT NULL DEFAULT 1 CHECK (revision > 0),
    attempt         integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    attempt_at      timestamptz,
    attempt_customer text NOT NULL DEFAULT '', -- the organization's customer at Stripe when the attempt was made
    created_at      timestamptz NOT NULL,
    submitted_at    timestamptz,
    paid_at         timestamptz,
    issued_at       timestamptz,
    closed_at       timestamptz,
    closed_by_staff boolean NOT NULL DEFAULT false,
    updated_at      timestamptz NOT NULL,
    checked_at      timestamptz, -- when it was last compared with Stripe
    CHECK ((state = 'issued') = (license_id IS NOT NULL)),
    CHECK ((state = 'draft') = (attempt = 0) OR state = 'canceled'),
    CHECK ((state = 'canceled') = (closed_at IS NOT NULL)),
    CHECK (state <> 'in_review' OR jsonb_array_length(reasons) > 0)
);
CREATE UNIQUE INDEX orders_form ON orders (organization_id, form_key);
CREATE UNIQUE INDEX orders_one_open_renewal ON orders (base_license_id)
    WHERE kind = 'renewal' AND state IN ('awaiting_payment', 'processing', 'in_review', 'paid');
CREATE INDEX orders_list ON orders (organization_id, created_at DESC, id DESC);
CREATE INDEX orders_moving ON orders (checked_at) WHERE state IN ('awaiting_payment', 'processing', 'paid');
CREATE INDEX orders_in_review ON orders (updated_at, id) WHERE state = 'in_review';
CREATE INDEX orders_license_unpaid ON orders (id) WHERE license_id IS NOT NULL AND paid_at IS NULL; -- stays empty
CREATE INDEX orders_evaluation_organization ON orders (organization_id) WHERE evaluation AND state IN ('paid', 'issued', 'in_review');
CREATE INDEX orders_evaluation_domain ON orders (mail_domain) WHERE evaluation AND state IN ('paid', 'issued', 'in_review');
CREATE INDEX orders_base ON orders (base_license_id) WHERE base_license_id IS NOT NULL;

CREATE TABLE checkout_sessions (
    id             text PRIMARY KEY CHECK (id ~ '^cs_'),
    order_id       text NOT NULL REFERENCES orders (id),
    attempt        integer NOT NULL CHECK (attempt > 0),
    url            text NOT NULL,
    status         text NOT NULL,
    payment_status text NOT NULL,
    payment_intent text,
    facts          jsonb, -- what Stripe said last; null until fetched
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    fetched_at     timestamptz,
    UNIQUE (order_id, attempt)
);
CREATE UNIQUE INDEX checkout_sessions_payment_intent ON checkout_sessions (payment_intent) WHERE payment_intent IS NOT NULL;

-- The inbox. An event is evidence: what arrived is kept as it arrived.
CREATE TABLE events (
    mode             text NOT NULL CHECK (mode IN ('test', 'live')),
    id               text NOT NULL,
    type             text NOT NULL,
    api_version      text NOT NULL,
    object_id        text NOT NULL,
    payment_status   text NOT NULL, -- of the object, as the event tells it
    reference        text NOT NULL, -- the order that the event names; only the stored session decides
    created          timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    body             bytea NOT NULL CHECK (octet_length(body) <= 524288),
    signature_header text NOT NULL,
    order_id         text REFERENCES orders (id),
    outcome          text NOT NULL DEFAULT '', -- '' until it was looked at
    deliveries       integer NOT NULL DEFAULT 1,
    PRIMARY KEY (mode, id)
);
CREATE INDEX events_object ON events (object_id);
CREATE INDEX events_received ON events (received_at);

CREATE TRIGGER events_keep_evidence BEFORE UPDATE OF mode, id, type, api_version, object_id, payment_status, reference, created, received_at, body, signature_header ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_keep BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE issuances (
    license_id      text PRIMARY KEY,
    order_id        text NOT NULL UNIQUE REFERENCES orders (id),
    fulfillment_key text NOT NULL UNIQUE,
    organization_id text NOT NULL REFERENCES organizations (id),
    deployment_id   text NOT NULL REFERENCES deployments (id),
    kind            text NOT NULL CHECK (kind IN ('new', 'renewal', 'top_up')),
    sku             text NOT NULL,
    template_ref    text NOT NULL,
    template_name   text NOT NULL,
    base_license_id text CHECK ((base_license_id IS NULL) = (kind = 'new')),
    envelope        bytea NOT NULL CHECK (octet_length(envelope) <= 65536),
    sha256          text NOT NULL CHECK (sha256 = encode(sha256(envelope), 'hex')),
    key_id          text NOT NULL,
    issued_at       timestamptz NOT NULL,
    not_before      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL CHECK (expires_at > not_before),
    stored_at       timestamptz NOT NULL
);
CREATE INDEX issuances_list ON issuances (organization_id, stored_at DESC, license_id DESC);
CREATE INDEX issuances_lineage ON issuances (deployment_id, stored_at DESC, license_id DESC);
CREATE INDEX issuances_base ON issuances (base_license_id) WHERE base_license_id IS NOT NULL;
CREATE TRIGGER issuances_keep BEFORE UPDATE OR DELETE ON issuances FOR EACH ROW EXECUTE FUNCTION refuse_change();

ALTER TABLE orders ADD FOREIGN KEY (license_id) REFERENCES issuances (license_id) DEFERRABLE INITIALLY DEFERRED;

-- What customers say and do about a license, beside the bytes that never change.
CREATE TABLE license_marks (
    license_id          text PRIMARY KEY REFERENCES issuances (license_id),
    first_downloaded_at timestamptz,
    downloads           bigint NOT NULL DEFAULT 0,
    installed_at        timestamptz
);

CREATE TABLE redownload_links (
    id              text PRIMARY KEY CHECK (id ~ '^lnk_'), -- the token is derived from it with the portal's secret and is not stored
    license_id      text NOT NULL REFERENCES issuances (license_id),
    organization_id text NOT NULL REFERENCES organizations (id),
    created_by      text NOT NULL REFERENCES users (id),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL CHECK (expires_at > created_at),
    revoked_at      timestamptz,
    downloads       integer NOT NULL DEFAULT 0
);
CREATE INDEX redownload_links_license ON redownload_links (license_id, created_at DESC);

CREATE TABLE downloads (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    license_id text NOT NULL REFERENCES issuances (license_id),
    at         timestamptz NOT NULL,
    user_id    text REFERENCES users (id),
    link_id    text REFERENCES redownload_links (id),
    CHECK (num_nonnulls(user_id, link_id) = 1)
);
CREATE INDEX downloads_license ON downloads (license_id, id);
CREATE TRIGGER downloads_keep BEFORE UPDATE OR DELETE ON downloads FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE order_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL REFERENCES orders (id),
    at       timestamptz NOT NULL,
    what     text NOT NULL,
    detail   text NOT NULL DEFAULT '',
    actor    text NOT NULL
);
CREATE INDEX order_log_order ON order_log (order_id, id);
CREATE TRIGGER order_log_keep BEFORE UPDATE OR DELETE ON order_log FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE mails (
    kind       text NOT NULL,
    ref        text NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at    timestamptz,
    PRIMARY KEY (kind, ref)
);
