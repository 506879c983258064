"""Answers of the champion, inside the prediction service and across HTTP."""
