"""What a run earned and why, as figures and as a report."""
