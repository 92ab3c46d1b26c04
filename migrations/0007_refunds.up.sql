-- What Stripe last said of a charge that gave money back, for the pages of its order. It decides nothing.

CREATE TABLE refunded_charges (
    order_id  text NOT NULL REFERENCES orders (id),
    charge_id text NOT NULL,
    currency  text NOT NULL,
    amount    bigint NOT NULL CHECK (amount >= 0), -- minor units, with tax
    refunded  bigint NOT NULL CHECK (refunded >= 0), -- 0 again where the refund failed
    seen_at   timestamptz NOT NULL, -- when Stripe was asked
    PRIMARY KEY (order_id, charge_id)
);
