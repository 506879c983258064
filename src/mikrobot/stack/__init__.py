"""The local services: starting, watching and stopping their processes."""
