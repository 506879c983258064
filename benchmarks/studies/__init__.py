"""Studies whose results are published in docs; they take minutes to hours and are run manually."""
