"""Parts of a feature, their composition and compilation. Contains no single feature."""
