-- What somebody still waits for: the overview and the list of licenses show it, however many orders came after.
CREATE INDEX orders_open ON orders (organization_id, created_at DESC, id DESC) WHERE state NOT IN ('issued', 'canceled');
