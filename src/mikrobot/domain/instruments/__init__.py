"""The instruments: their shipped table, the user's file, and the registry that everything asks."""
