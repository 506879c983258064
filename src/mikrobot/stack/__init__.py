"""Start, watch and stop the processes of the local services."""
