"""Mikrobot: a workflow-orchestrated MLOps platform for paper trading. It never places a real order."""

__version__ = "0.2.0"
