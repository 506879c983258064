"""Persistent storage: bars, the ledger, runs and feature rows, in PostgreSQL and through Feast."""
