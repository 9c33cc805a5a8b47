"""Names that scripts of older containers import, found where nothing else has them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: scikit-learn carried a copy of joblib until 0.23.
_MOVED = {"sklearn.externals.joblib": "joblib"}


class _LastResort:
    """Finds a module under the name that it once had."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # No subclass of importlib.abc.Loader, whose import costs every container 50 ms.
        return ModuleSpec(name, self) if name in _MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The importing machinery hands out what stands under the name when this returns.
        sys.modules[module.__name__] = importlib.import_module(_MOVED[module.__name__])


def install() -> None:
    """Find these names from now on, after all who might really have them."""
    sys.meta_path.append(_LastResort())
