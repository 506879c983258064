"""Streams of a venue: connections that recover by themselves, and the closed bars that arrive on them."""
