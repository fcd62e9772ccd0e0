"""Models of other projects, read from the files that carry them.

Nothing here runs them or executes their code.
"""
