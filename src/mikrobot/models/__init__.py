"""Models, their labels and the model registry. Only labels use future prices."""
