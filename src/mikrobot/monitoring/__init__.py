"""Monitoring of the model inputs: drift of feature rows, and feature quality."""
