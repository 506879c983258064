"""What is kept: bars, the ledger, runs and feature rows, in PostgreSQL and through Feast."""
