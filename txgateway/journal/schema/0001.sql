-- The journal: append-only records, each with the hash of the chain up to it, and the keys that find an order again.
CREATE TABLE records (
    seq      INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,           -- microseconds since 1970, UTC
    kind     TEXT NOT NULL,
    order_id TEXT,
    body     TEXT NOT NULL,              -- JSON
    hash     BLOB NOT NULL               -- SHA-256 of the hash before and this record
);
CREATE INDEX records_by_order ON records (order_id, seq) WHERE order_id IS NOT NULL;

CREATE TABLE keys (
    kind     TEXT NOT NULL,              -- client, broker, execution
    value    TEXT NOT NULL,
    order_id TEXT NOT NULL,
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;
