"""A model as data: ONNX files read, checked and rewritten, their int8 and strongly typed forms, the shipped models.

Nothing here runs a model: that is for `fastsr.engines`.
"""
