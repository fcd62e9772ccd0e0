"""Frames cut into windows with halos, so that a network run window by window gives what it gives whole.

Plain arithmetic on sizes: no pixels, no engines.
"""

from fastsr.tiling.window_plan import Plan, Span, plan

__all__ = ["Plan", "Span", "plan"]
