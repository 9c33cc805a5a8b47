"""Give AWS's serving toolkit back what newer Pythons have removed, as the stock image does."""

import collections
import collections.abc

collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
