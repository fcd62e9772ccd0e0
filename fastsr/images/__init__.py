"""Reading and writing images: files, Pillow images, NumPy arrays and PyTorch tensors <-> pixels and their metadata.

`read` makes a `DecodedImage`; its `restore` gives enlarged frames back as the kind of thing that was handed in, and
`write` saves them to a file, `write_rows` as they are made. Nothing here knows models or engines.
"""

from fastsr.images.decoded_image import DecodedImage, Frame, Rows
from fastsr.images.formats import SUFFIXES, WRITTEN_SUFFIXES, output_format
from fastsr.images.reading import read, view
from fastsr.images.writing import takes_rows, write, write_rows

__all__ = [
    "SUFFIXES",
    "WRITTEN_SUFFIXES",
    "DecodedImage",
    "Frame",
    "Rows",
    "output_format",
    "read",
    "takes_rows",
    "view",
    "write",
    "write_rows",
]
