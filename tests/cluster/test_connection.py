"""Clusters that cannot be joined."""

import pytest

from fastsr.errors import ClusterError


def test_a_cluster_that_is_not_there(surroundings):
    from fastsr.cluster.connection import Connection

    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1: nobody answers"):
        Connection("127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"ray://head:1: is not the address"):
        Connection("ray://head:1")
    with pytest.raises(ClusterError, match="no Ray cluster is running here"):
        Connection("auto")
