"""The command `fastsr`: arguments, inputs and outputs, progress and messages.

Everything that it does can be done from Python; what is worth calling from there lives in the packages below. Nothing
imports this package but `fastsr.__main__`.
"""

from fastsr.former_names import names_of

__getattr__ = names_of(__name__)
