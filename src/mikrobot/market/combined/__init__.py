"""Several sources as one: routes of symbols, and their bars, streams and order books in one order."""
