"""The compiled step: the parts of a feature, their composition, and the code made of them. Knows no single feature."""
