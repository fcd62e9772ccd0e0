"""PyTorch as an engine, on a CPU and on a GPU: the reference that other engines are compared with.

Nothing outside of this package and of fastsr.images.arrays may import torch.
"""

from fastsr.former_names import names_of

__getattr__ = names_of(__name__)
