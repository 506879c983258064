"""Prefect flows: thin, the package does the work."""
