"""The native CPU engine: a graph lowered to a program, which csrc/cpu/conv runs row by row (docs/cpu-engine.md).

Only `engine` knows the C++ module; `program` is plain data, so that a reference implementation can run it too.
"""
