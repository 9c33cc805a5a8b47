"""SageMaker on this machine: a control plane on 127.0.0.1, for real jobs and endpoints.

``kneighbors local up`` starts it and ``kneighbors local run -- COMMAND`` runs a program against it;
a notebook that runs already calls `activate`. Needs the extra ``local``.
"""

from __future__ import annotations

from kneighbors.local.activation import Activated, activate, deactivate

__all__ = ["Activated", "activate", "deactivate"]
