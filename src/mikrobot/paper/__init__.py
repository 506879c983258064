"""The virtual account: execution, costs and positions. Pure."""
