"""The store: people, campaigns, items, the queue of leases and the append-only log, on SQLite or PostgreSQL."""
