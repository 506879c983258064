"""Feast definitions, generated from the feature catalog."""

import mikrobot.store.feast  # noqa: F401  before Feast, which it makes faster to import
