"""Ray, imported in the one way that suits us; raises ClusterError, saying how to install it, where it is missing."""

from __future__ import annotations

import os

from fastsr.errors import ClusterError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to its makers

try:
    import ray
    from ray import exceptions
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise ClusterError(f"a cluster needs Ray ({error}); run: pip install 'fastsr[cluster]'") from None

__all__ = ["NodeAffinitySchedulingStrategy", "exceptions", "ray"]
