"""Any image a user has <-> pixels, and what must be kept beside them.

`read` turns a path, binary file, Pillow image, NumPy array or PyTorch tensor into frames of plain pixels.
`Picture.restore` gives the (enlarged) frames back as what was handed in, `write` puts them into a file.
"""

from fastsr.images.formats import SUFFIXES, output_format
from fastsr.images.picture import Frame, Picture
from fastsr.images.reading import read
from fastsr.images.writing import write

__all__ = ["SUFFIXES", "Frame", "Picture", "output_format", "read", "write"]
