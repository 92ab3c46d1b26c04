-- Who may sign in, and for which customer. No secret is kept here: links and codes are derived from the portal's secret,
-- browsers and sessions are kept as hashes, so that a dump signs nobody in.

CREATE TABLE organizations (
    id                 text PRIMARY KEY CHECK (id ~ '^cust_[0-9A-Za-z]{1,40}$'),
    name               text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
    stripe_customer_id text UNIQUE CHECK (octet_length(stripe_customer_id) BETWEEN 1 AND 255),
    created_at         timestamptz NOT NULL
);

CREATE TABLE users (
    id              text PRIMARY KEY CHECK (id ~ '^usr_[0-9A-Za-z]{1,40}$'),
    email           text NOT NULL UNIQUE CHECK (email = lower(email COLLATE "C") AND octet_length(email) BETWEEN 3 AND 254),
    created_at      timestamptz NOT NULL,
    last_sign_in_at timestamptz
);

CREATE TABLE memberships (
    organization_id text NOT NULL REFERENCES organizations (id),
    user_id         text NOT NULL REFERENCES users (id),
    role            text NOT NULL CHECK (role IN ('owner', 'billing', 'operator', 'read_only')),
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

-- Every request asks for a user's organizations.
CREATE INDEX memberships_user_id ON memberships (user_id);

CREATE TABLE sign_ins (
    id           text PRIMARY KEY CHECK (id ~ '^sgn_[0-9A-Za-z]{1,40}$'),
    email        text NOT NULL CHECK (email = lower(email COLLATE "C") AND octet_length(email) BETWEEN 3 AND 254),
    browser_hash bytea NOT NULL CHECK (octet_length(browser_hash) = 32),
    return_to    text NOT NULL CHECK (return_to LIKE '/%'),
    tries        integer NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 5),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
    used_at      timestamptz
);

CREATE INDEX sign_ins_expires_at ON sign_ins (expires_at);

CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    data       bytea NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- Counts of attempts in fixed windows, shared by every portal process. Keys hold a digest, never an address.
CREATE TABLE rate_limits (
    key          text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 200),
    window_start timestamptz NOT NULL,
    count        integer NOT NULL CHECK (count >= 0),
    PRIMARY KEY (key, window_start)
);

CREATE INDEX rate_limits_window_start ON rate_limits (window_start);
