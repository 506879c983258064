"""Whether the market still looks like what the models were trained on."""
