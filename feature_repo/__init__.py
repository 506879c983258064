"""Feast definitions, generated from the feature catalog."""
