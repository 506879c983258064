"""Market data: the source port, its adapters, aggregation and backfill."""
