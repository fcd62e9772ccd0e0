"""Where frames come from: video files, image sequences and pipes, decoded into RGB frames with their timestamps.

Only reading: what is encoded or written belongs to outputs, and nothing here knows models or the pipeline.
"""
