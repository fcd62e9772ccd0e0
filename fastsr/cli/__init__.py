"""The command `fastsr`: arguments, inputs and results on disk, and what is printed.

Nothing imports this package; what a library could use belongs below it.
"""

from fastsr.former_names import names_of

__getattr__ = names_of(__name__)
