"""Experiments that compare the results of strategies, profiles or model versions."""
