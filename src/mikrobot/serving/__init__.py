"""Predictions of the champion: inside the prediction service, and its HTTP client."""
