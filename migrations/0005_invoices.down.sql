DROP VIEW order_payments;
ALTER TABLE orders DROP COLUMN subscription_id, DROP COLUMN channel;
DROP TABLE invoices, quotes, subscriptions;
