"""The two processes that trade, streamer and worker, and what they share."""
