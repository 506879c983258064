"""What a model is, its labels, and the registry. Labels look forward; nothing else may."""
