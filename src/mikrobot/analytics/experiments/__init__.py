"""Experiments: which of several strategies, profiles or model versions earns more."""
