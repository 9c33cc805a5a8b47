"""A build backend whose wheel is empty.

AWS's image runs ``pip install`` on a model's ``code/`` at every start. The modules are on the path
already, so there is nothing to install; with this backend pip finds that out in a moment, and
without a network, where it would fetch setuptools first.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

_NAME = "sagemaker_code-1.0.0"
_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: sagemaker-code\nVersion: 1.0.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel, and return its name."""
    file = f"{_NAME}-py3-none-any.whl"
    record = "".join(f"{_NAME}.dist-info/{name},,\n" for name in (*_INFO, "RECORD"))
    with zipfile.ZipFile(Path(wheel_directory) / file, "w") as wheel:
        for name, text in {**_INFO, "RECORD": record}.items():
            wheel.writestr(f"{_NAME}.dist-info/{name}", text)
    return file
