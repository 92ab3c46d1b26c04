DROP TABLE mails, order_log, downloads, redownload_links, license_marks, issuances, events, checkout_sessions, orders, deployments CASCADE;
DROP FUNCTION refuse_change;
