"""From a trained network to a shipped model: the ONNX file, its int8 ranges and its card.

May import every other package of `training`; nothing of them imports this one.
"""
