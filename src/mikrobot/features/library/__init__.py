"""The features: one family a module, each a one-bar step. Knows nothing of the catalog."""
