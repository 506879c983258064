"""BentoML services."""
