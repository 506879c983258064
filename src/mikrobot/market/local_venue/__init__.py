"""A local server that speaks Binance's protocol for spot and USD-M futures, for development and tests."""
