DROP TABLE rate_limits;
DROP TABLE sessions;
DROP TABLE sign_ins;
DROP TABLE memberships;
DROP TABLE users;
DROP TABLE organizations;
