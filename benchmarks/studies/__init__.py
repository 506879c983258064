"""Studies whose results are kept in the documents: they take minutes to hours and are run by hand."""
