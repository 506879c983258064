"""Domain types: markets, orders, experiments and errors. Does no input or output."""
