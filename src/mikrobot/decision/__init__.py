"""From predictions to a decision with its reasons. Pure."""
