"""Models of other projects, read from the files that carry them; nothing here runs them or executes their code."""
