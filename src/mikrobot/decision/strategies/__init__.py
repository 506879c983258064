"""Strategies: when to propose a trade, with its stop and target."""
