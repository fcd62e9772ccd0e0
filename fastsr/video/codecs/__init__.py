"""What encoders and containers are offered, how an encoder is configured, and how pixels become its samples and back.

No file is opened or written here, and nothing here knows sources, outputs or the pipeline.
"""

from fastsr.former_names import names_of

__getattr__ = names_of(__name__)
