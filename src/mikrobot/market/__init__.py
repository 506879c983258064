"""Where bars come from: the source port, its adapters, aggregation and backfill."""
