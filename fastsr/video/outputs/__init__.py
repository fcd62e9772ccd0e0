"""What becomes of upscaled frames: encoded segments kept for resuming, the finished file, numbered images, pipes.

The stages here take an iterable of frames; threads, queues and models belong to the pipeline.
"""
