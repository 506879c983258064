"""Prefect flows: thin wrappers around the workflows of the package."""
