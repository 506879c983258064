"""Mikrobot: a workflow-orchestrated MLOps platform for paper trading. It never places a real order."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP reads it when it is loaded; XGBoost's threads else spin

__version__ = "0.2.0"
