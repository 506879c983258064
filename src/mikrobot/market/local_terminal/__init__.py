"""A stand-in for a MetaTrader 5 terminal behind an RPyC bridge: a development tool with simulated bars."""
