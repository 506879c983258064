"""Performance of a run: figures, charts and reports."""
