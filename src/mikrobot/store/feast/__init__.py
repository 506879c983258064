"""Feast: its configuration, its two stores, and the feature rows read and written through them."""
