"""Turn predictions into a trade decision with its reasons. Pure."""
