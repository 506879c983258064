"""The words of the trade: markets, orders and errors, without any input or output."""
