"""Simulate trading accounts: order execution, costs and positions. Pure."""
