DROP INDEX events_open;
CREATE INDEX events_takes_back_open ON events (received_at) WHERE outcome = '' AND type LIKE 'charge.%';
DROP TABLE reconciliations;
