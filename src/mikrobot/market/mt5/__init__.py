"""The MetaTrader 5 source: bars and instruments of a terminal, on Windows or over an RPyC bridge."""
