"""Reading and writing images: files, Pillow images, NumPy arrays and PyTorch tensors <-> pixels and their metadata.

`read` makes a `DecodedImage`; its `restore` gives enlarged frames back as the kind of thing that was handed in, and
`write` saves them to a file. Nothing here knows models or engines.
"""

from fastsr.images.decoded_image import DecodedImage, Frame
from fastsr.images.formats import SUFFIXES, WRITTEN_SUFFIXES, output_format
from fastsr.images.reading import read
from fastsr.images.writing import write

__all__ = ["SUFFIXES", "WRITTEN_SUFFIXES", "DecodedImage", "Frame", "output_format", "read", "write"]
