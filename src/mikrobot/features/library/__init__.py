"""The features, one family per module, each a one-bar step. Independent of the catalog."""
