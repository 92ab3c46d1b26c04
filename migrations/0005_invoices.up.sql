-- What is paid by invoice: orders that staff quoted, and the cycles of subscriptions. As with checkout sessions, an order is
-- found by the IDs that are stored here, and by nothing that an event says of itself.

CREATE TABLE subscriptions (
    id         text PRIMARY KEY CHECK (id ~ '^sub_'),
    order_id   text NOT NULL UNIQUE REFERENCES orders (id), -- whose checkout session began it
    status     text NOT NULL,
    facts      jsonb NOT NULL, -- what Stripe said last
    created_at timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL
);

CREATE TABLE quotes (
    id          text PRIMARY KEY CHECK (id ~ '^qt_'),
    order_id    text NOT NULL UNIQUE REFERENCES orders (id),
    status      text NOT NULL,
    facts       jsonb NOT NULL, -- what Stripe said last
    prepared_by text NOT NULL, -- a name of staff
    accepted_by text REFERENCES users (id),
    accepted_at timestamptz,
    created_at  timestamptz NOT NULL,
    fetched_at  timestamptz NOT NULL,
    CHECK ((accepted_by IS NULL) = (accepted_at IS NULL))
);

CREATE TABLE invoices (
    id              text PRIMARY KEY CHECK (id ~ '^in_'),
    order_id        text NOT NULL REFERENCES orders (id),
    subscription_id text REFERENCES subscriptions (id),
    status          text NOT NULL,
    payment_intent  text,
    facts           jsonb NOT NULL, -- what Stripe said last
    created_at      timestamptz NOT NULL,
    fetched_at      timestamptz NOT NULL
);
CREATE INDEX invoices_order ON invoices (order_id, created_at, id);
CREATE INDEX invoices_subscription ON invoices (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE UNIQUE INDEX invoices_payment_intent ON invoices (payment_intent) WHERE payment_intent IS NOT NULL;

-- A cycle after the first is an order of its own, made when its invoice is seen.
ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'checkout' CHECK (channel IN ('checkout', 'quote', 'subscription', 'cycle'));
ALTER TABLE orders ADD COLUMN subscription_id text REFERENCES subscriptions (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE orders ADD CONSTRAINT orders_cycle_check CHECK ((channel = 'cycle') = (subscription_id IS NOT NULL));
CREATE INDEX orders_subscription ON orders (subscription_id) WHERE subscription_id IS NOT NULL;

-- What can pay an order: an invoice, or a session that does not only begin a subscription.
CREATE VIEW order_payments AS
    SELECT c.order_id, c.id, c.payment_intent, c.created_at FROM checkout_sessions c JOIN orders o ON o.id = c.order_id WHERE o.channel = 'checkout'
    UNION ALL
    SELECT order_id, id, payment_intent, created_at FROM invoices;
