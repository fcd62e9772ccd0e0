"""Decode, upscale and encode, overlapped: threads, bounded queues, progress, and a run that can be resumed.

Which source, encoder and output a call needs is decided above, in `fastsr.video.request`.
"""

from fastsr.former_names import names_of

__getattr__ = names_of(__name__)
