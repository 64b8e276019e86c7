-- What is of no order (connections, halts, settings), by its kind: an order's story tells what of it bore on the order.
CREATE INDEX records_of_no_order ON records (kind, seq) WHERE order_id IS NULL;
