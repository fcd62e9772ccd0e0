"""Makes files of the repository that follow from others."""
