"""A second reader of artifacts, written from `docs/reference/artifact-format.md` alone.

It imports nothing of the package. What it needs to know is on that page, or the page is wrong.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[Any]


class SecondReader:
    """An artifact, read whole and checked."""

    def __init__(self, path: Path) -> None:
        text = (path / "manifest.json").read_bytes()
        self.digest = self._digest(text)
        fields: dict[str, Any] = json.loads(text)
        canonical = json.dumps(fields, sort_keys=True, indent=2, allow_nan=False) + "\n"
        assert canonical.encode() == text
        assert fields["format"] == "kneighbors-artifact"
        assert fields["format_version"] == 1
        assert fields["requires"] == []
        self.fields = fields
        self.parts = {}
        for name, part in fields["parts"].items():
            data = (path / part["file"]).read_bytes()
            assert len(data) == part["bytes"]
            assert hashlib.sha256(data).hexdigest() == part["sha256"]
            self.parts[name] = data

    @staticmethod
    def _digest(text: bytes) -> str:
        (match,) = re.finditer(rb'^  "digest": "([0-9a-f]{64})",?$', text, re.MULTILINE)
        zeroed = text[: match.start(1)] + b"0" * 64 + text[match.end(1) :]
        assert hashlib.sha256(zeroed).hexdigest().encode() == match[1]
        return match[1].decode()

    def array(self, name: str) -> Array:
        """Return an array, by its header's one form."""
        data, part = self.parts[name], self.fields["parts"][name]
        assert data[:8] == b"\x93NUMPY\x01\x00"
        start = 10 + struct.unpack("<H", data[8:10])[0]
        assert start % 64 == 0
        shape = "({})".format(", ".join(map(str, part["shape"])))
        if len(part["shape"]) == 1:
            shape = f"({part['shape'][0]},)"
        line = f"{{'descr': '{part['dtype']}', 'fortran_order': False, 'shape': {shape}, }}"
        assert data[10:start].decode().rstrip(" \n") == line
        return np.frombuffer(data[start:], part["dtype"]).reshape(part["shape"])

    def check_blocks(self) -> int:
        """Compare every block of the vectors with its checksum; return how many there are."""
        length = self.fields["block_bytes"]
        data, checksums = self.parts["vectors"], self.array("vectors-blocks")
        blocks = [data[start : start + length] for start in range(0, len(data), length)]
        assert len(blocks) == len(checksums)
        for block, checksum in zip(blocks, checksums, strict=True):
            assert hashlib.sha256(block).digest() == checksum.tobytes()
        return len(blocks)

    def row_of(self, wanted: str | int) -> int:
        """Find an id as the page says."""
        order = self.array("ids-order")
        if self.fields["id_type"] == "integer":
            ids = self.array("ids")
            place = bisect.bisect_left(order, wanted, key=lambda row: ids[row])
            assert ids[order[place]] == wanted
            return int(order[place])
        text = str(wanted).encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        value = np.uint64(int.from_bytes(digest, "little"))
        hashes = self.array("ids-hashes")
        place = int(np.searchsorted(hashes, value))
        while hashes[place] == value:
            if self.id_at(int(order[place])) == wanted:
                return int(order[place])
            place += 1
        raise KeyError(wanted)

    def id_at(self, row: int) -> str | int:
        """Return the id of a row."""
        if self.fields["id_type"] == "integer":
            return int(self.array("ids")[row])
        offsets = self.array("ids-offsets")
        return bytes(self.array("ids-text")[offsets[row] : offsets[row + 1]]).decode()

    def items(self) -> pa.Table:
        """Return the attributes."""
        assert self.parts["items"][:6] == b"ARROW1"
        table = pa.ipc.open_file(pa.BufferReader(self.parts["items"])).read_all()
        assert [table.num_rows, table.num_columns] == self.fields["parts"]["items"]["shape"]
        return table

    def nearest(self, query: Array, count: int) -> tuple[list[int], Array]:
        """Search by brute force, in float64; smaller distance first, then smaller row."""
        X, q = self.array("vectors").astype(float), query.astype(float)
        metric = self.fields["metric"]
        if metric == "cosine":
            distances = 1 - X @ q / np.linalg.norm(X, axis=1) / np.linalg.norm(q)
        elif metric == "inner_product":
            distances = -(X @ q)
        else:
            distances = ((X - q) ** 2).sum(axis=1)
            distances = np.sqrt(distances) if metric == "euclidean" else distances
        rows = np.lexsort((np.arange(len(X)), distances))[:count]
        return rows.tolist(), distances[rows]
