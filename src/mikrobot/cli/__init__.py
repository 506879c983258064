"""The command line: options in, one call, its result or one line of error."""
