"""Formats of bar files: one module for each, listed in `registry`."""
