"""Decode, upscale and encode, overlapped: threads, bounded queues, progress, and a run that can be resumed.

Which source, encoder and output a call needs is decided above, in `fastsr.video.request`.
"""
