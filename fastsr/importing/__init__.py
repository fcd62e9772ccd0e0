"""Models of other projects: read from the files that carry them, converted to ONNX, kept in the user's folder.

A converted model is run here once, beside its source, to compare them. Code that a file carries is never executed.
"""
