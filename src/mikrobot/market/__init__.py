"""Market data: the source port, its adapters and the backfill."""
