"""Training, evaluation and promotion of models, from feature rows and labels to a registered version."""
