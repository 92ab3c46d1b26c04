-- What reconciliation did last, and from where it goes on. Each pass has a row of its own.
CREATE TABLE reconciliations (
    pass         text PRIMARY KEY CHECK (pass IN ('orders', 'events', 'payments', 'endpoint')),
    since        timestamptz,          -- of events: everything that Stripe made before is stored
    succeeded_at timestamptz NOT NULL,
    state        text NOT NULL DEFAULT '', -- of the endpoint: how it stands
    open         integer NOT NULL DEFAULT 0 CHECK (open >= 0) -- what the last pass found and could not close itself
);

-- Events about money taken back have names of several kinds; those that nothing was made of yet are few.
DROP INDEX events_takes_back_open;
CREATE INDEX events_open ON events (received_at) WHERE outcome = '';
