"""Feast definitions, made from the feature catalog."""
