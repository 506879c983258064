"""From feature rows and labels to a judged and registered model."""
