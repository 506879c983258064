"""One module for each thing that a flow or a command does."""
