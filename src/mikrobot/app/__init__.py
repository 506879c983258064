"""Wiring: the local services, the two live processes and the command line."""
