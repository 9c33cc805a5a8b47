"""How long queries wait for one another.

Queries come at random (Poisson), each service takes the same time (M/D/c). The mean wait of those
that wait is ``T / (2 (1 - rho) c)``, and longer waits fall off exponentially; a query waits with
probability `rho`. An answer needs all shards, so a shard may be late only in one of 100 times the
number of shards (Boole). Good to a factor of two up to the load that plans allow.
"""

from __future__ import annotations

import math

from kneighbors.planning.engines import Service


def load(service: Service, qps: float) -> float:
    """Return the share of the time that servers are busy with so many queries a second.

    Examples
    --------
    >>> load(Service(seconds=0.01, batch=1, servers=1), 50.0)
    0.5
    """
    return qps * service.seconds / service.batch / service.servers


def waits(service: Service, qps: float, shards: int) -> tuple[float, float]:
    """Return the mean wait and the 99th percentile over all shards, in seconds.

    Parameters
    ----------
    service : Service
        Of one copy of a shard.
    qps : float
        Queries a second to that copy; its load must be below 1.
    shards : int
    """
    busy = load(service, qps)
    scale = service.seconds / (2 * (1 - busy) * service.servers)
    return busy * scale, max(0.0, scale * math.log(100 * shards * busy))
