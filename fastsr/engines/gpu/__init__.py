"""What all engines on an NVIDIA GPU share: frames through a network in bands, memory, and tensors that stay there.

No runtime is named here: engines hand in a network and a device that follow the protocols of `device`.
"""
