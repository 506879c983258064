"""Feast: its configuration, its online and offline store, and access to the feature rows in them."""
