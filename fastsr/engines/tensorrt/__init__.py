"""TensorRT and TensorRT-RTX as an engine: building, caching, exporting and running their engine files.

`network` and what it uses know TensorRT alone; `engine` puts such a network into fastsr.engines.gpu's frame engine.
"""

from fastsr.former_names import names_of

__getattr__ = names_of(__name__)
