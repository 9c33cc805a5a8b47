"""What ``train`` does in a container: a user's script, or our own training on the channels."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.settings import TrainingSettings
from kneighbors.sagemaker.training import train


def run(environ: Mapping[str, str] = os.environ) -> int:
    """Train as the files below ``/opt/ml/input/config`` say, and return the exit code.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``. ``SAGEMAKER_BASE_DIR`` stands in for ``/opt/ml``.

    Returns
    -------
    int
        0 done; 1 the job failed, and ``output/failure`` says why; 143 stopped by SIGTERM.
    """
    try:
        report = train(TrainingSettings.resolve({}, environ))
    except KNeighborsError as error:
        sys.stderr.write(f"error: [{error.code}] {error}\n")
        return 1
    for line in report.metric_lines():
        sys.stdout.write(line + "\n")
    return 0
