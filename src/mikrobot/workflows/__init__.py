"""The use cases of flows and commands, one module each."""
