"""Opening: what is mapped, what is imported, what is refused, and what is let go of."""

from __future__ import annotations

import gc
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kneighbors.artifact import open_artifact, pack, save, verify
from kneighbors.errors import ArtifactError, ItemsRefused, StorageError
from support import artifact_making as making


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    making.save_small(tmp_path / "a")
    return tmp_path / "a"


def refusal(path: Path) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        open_artifact(path)
    return caught.value


def test_parts_are_mapped_and_cannot_be_written_to(tmp_path: Path) -> None:
    save(tmp_path / "a", making.index("cosine", 12_000, 64))
    with open_artifact(tmp_path / "a") as artifact:
        head = artifact.index.parts()["head"]
        assert not head.flags.writeable
        assert not head.flags.owndata
        assert head.ctypes.data % 64 == 0
        assert not artifact.index.rows.slice(0, 10).flags.writeable
        mapped = Path("/proc/self/maps").read_text()
        assert f"{tmp_path}/a/head.npy" in mapped
        assert f"{tmp_path}/a/vectors.npy" in mapped


def test_opening_touches_no_vectors_but_the_first_block(tmp_path: Path) -> None:
    save(tmp_path / "a", making.index("cosine", 6000, 64))
    with open_artifact(tmp_path / "a") as artifact:
        assert artifact.index.rows.n_blocks_checked == 1  # type: ignore[attr-defined]


def run(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_opening_and_asking_import_nothing_heavy(saved: Path) -> None:
    code = (
        "import sys; from kneighbors.artifact import open_artifact; import numpy as np\n"
        "heavy = lambda: [m for m in ('pyarrow', 'pandas', 'sklearn', 'scipy', 'tarfile',\n"
        "                             'hypothesis') if m in sys.modules]\n"
        "with open_artifact(sys.argv[1]) as a:\n"
        "    a.index.warm_up(); a.catalog.rows_of(['wine-0007']); a.catalog.ids_of([3])\n"
        "    print(heavy(), a.catalog.has_items)\n"
        "    a.catalog.attributes_of([1])\n"
        "    print(heavy())\n"
    )
    assert run(code, saved).splitlines() == ["[] True", "['pyarrow']"]


def test_importing_the_package_loads_none_of_its_modules() -> None:
    code = (
        "import sys, kneighbors.artifact as a\n"
        "print([m for m in sys.modules if m.startswith('kneighbors.artifact.')], dir(a))\n"
        "assert a.save is a.save\n"
        "try: a.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    lines = run(code).splitlines()
    assert lines[0].startswith("[] ['Artifact', 'Manifest', 'PartReport', 'open_artifact', 'pack'")
    assert lines[1] == "module 'kneighbors.artifact' has no attribute 'nothing'"


def test_a_closed_artifact_is_refused_but_what_was_taken_stays(saved: Path) -> None:
    with open_artifact(saved) as artifact:
        index, catalog = artifact.index, artifact.catalog
        assert repr(artifact) == f"Artifact('{saved}', 200 x 16, cosine)"
    artifact.close()
    for name in ("index", "catalog"):
        with pytest.raises(ArtifactError) as caught:
            getattr(artifact, name)
        assert caught.value.code == "artifact-closed"
    index.kneighbors(making.corpus(3), 2)
    assert catalog.attributes_of([1])[0]["name"] == "Château 1"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_descriptors_and_maps_stay_flat_over_many_openings(saved: Path) -> None:
    def state() -> tuple[int, int]:
        gc.collect()
        return open_files(), Path("/proc/self/maps").read_text().count(str(saved))

    before = state()
    for turn in range(50):
        artifact = open_artifact(saved)
        making.answers(artifact)
        if turn % 2:
            artifact.close()
        del artifact
    with pytest.raises(ArtifactError), making.changed(saved / "factors.npy", b"x"):
        open_artifact(saved)
    assert state() == before


def test_descriptors_are_closed_after_saving_and_its_refusals(saved: Path) -> None:
    before = open_files()
    for _ in range(5):
        making.save_small(saved, overwrite=True)
        with pytest.raises(StorageError):
            making.save_small(saved)
    pack(saved, saved.parent / "a.tar.gz")
    verify(saved.parent / "a.tar.gz")
    assert open_files() == before


def test_large_parts_are_checked_by_threads(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kneighbors.artifact.hashing._WORTH_THREADS", 0)
    with open_artifact(saved) as artifact:
        assert artifact.index.n_samples == 200
    for name in ("factors.npy", "items.arrow"):
        with making.changed(saved / name, (saved / name).read_bytes()[:-1] + b"\x55"):
            assert refusal(saved).code == "artifact-damaged"


# What is no artifact ----------------------------------------------------------------------------


def test_nothing_and_other_things_are_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as missing:
        open_artifact(tmp_path / "no")
    assert missing.value.code == "storage-missing"
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "nothing").write_bytes(b"")
    np.save(tmp_path / "X.npy", np.zeros(3))
    os.mkfifo(tmp_path / "fifo")
    for name in ("empty", "text", "nothing", "X.npy", "fifo"):
        error = refusal(tmp_path / name)
        assert error.code == "artifact-unknown", name
        assert str(tmp_path / name) in str(error)
        with pytest.raises(ArtifactError):
            verify(tmp_path / name)


def test_a_linked_directory_is_opened(saved: Path) -> None:
    (saved.parent / "current").symlink_to(saved)
    with open_artifact(saved.parent / "current") as artifact:
        assert artifact.index.n_samples == 200


def hard_link(file: Path, aside: Path) -> None:
    aside.hardlink_to(file)


def soft_link(file: Path, aside: Path) -> None:
    file.rename(aside)
    file.symlink_to(aside)


def fifo(file: Path, aside: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path, aside: Path) -> None:
    file.unlink()
    file.mkdir()


def device(file: Path, aside: Path) -> None:
    file.unlink()
    try:
        os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make devices")


@pytest.mark.parametrize("replace", [hard_link, soft_link, fifo, folder, device])
@pytest.mark.parametrize("name", ["manifest.json", "factors.npy", "vectors.npy", "items.arrow"])
def test_files_that_are_not_what_they_seem_are_refused(
    saved: Path, replace: Any, name: str
) -> None:
    replace(saved / name, saved.parent / "aside")
    error = refusal(saved)
    assert error.code == "artifact-unsafe"
    assert str(saved / name) in str(error)
    if name == "manifest.json":
        with pytest.raises(ArtifactError):
            verify(saved)
    else:
        assert [r.file for r in verify(saved) if not r.is_whole] == [name]


# What is signed and yet wrong -------------------------------------------------------------------


def test_a_header_that_contradicts_the_manifest_is_refused(saved: Path) -> None:
    data = (saved / "factors.npy").read_bytes()
    making.forge_file(saved, "factors", data.replace(b"(1, 200)", b"(200, 1)"))
    error = refusal(saved)
    assert error.code == "artifact-invalid"
    assert "factors.npy" in str(error)
    assert [r.name for r in verify(saved) if not r.is_whole] == ["factors"]


def test_a_file_that_is_no_npy_is_refused_although_signed(saved: Path) -> None:
    data = (saved / "factors.npy").read_bytes()
    making.forge_file(saved, "factors", b"\x80\x04\x95" + data[3:])
    assert refusal(saved).code == "artifact-invalid"


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"engine": "head"},
        {"engine": "head", "exponent": "x"},
        {"engine": "head", "exponent": 1},
    ],
)
def test_a_plan_that_is_none_is_refused(saved: Path, plan: dict[str, Any]) -> None:
    making.forge(saved, lambda fields: fields.update(plan=plan))
    assert refusal(saved).code in {"artifact-invalid", "artifact-newer"}


def test_parts_that_the_index_needs_are_missed(saved: Path) -> None:
    making.forge(saved, lambda fields: fields["parts"].pop("factors"))
    assert refusal(saved).code == "artifact-invalid"


def test_checksums_that_are_wrong_although_signed_are_noticed(saved: Path) -> None:
    data = (saved / "vectors-blocks.npy").read_bytes()
    making.forge_file(saved, "vectors-blocks", data[:-1] + bytes([data[-1] ^ 1]))
    assert refusal(saved).code == "artifact-damaged"
    assert [report.name for report in verify(saved) if not report.is_whole] == ["vectors"]


@pytest.mark.parametrize("name", ["ids-offsets", "ids-order", "ids-hashes", "ids-text"])
def test_wild_arrays_of_ids_crash_nothing(saved: Path, name: str) -> None:
    data = (saved / f"{name}.npy").read_bytes()
    making.forge_file(saved, name, data[:128] + np.random.default_rng(0).bytes(len(data) - 128))
    known = making.catalog().ids_of(range(200))
    with open_artifact(saved) as artifact:
        for row in range(200):
            with suppress(ArtifactError):
                artifact.catalog.ids_of([row])
            with suppress(ArtifactError, ItemsRefused):
                artifact.catalog.rows_of([known[row]])


def test_a_wild_order_of_numbers_crashes_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a", making.index(), making.catalog("integer"))
    data = (tmp_path / "a" / "ids-order.npy").read_bytes()
    for wild in (np.full(200, 10**12), np.full(200, -(2**63)), np.arange(200)[::-1]):
        making.forge_file(tmp_path / "a", "ids-order", data[:128] + wild.tobytes())
        with open_artifact(tmp_path / "a") as artifact:
            for value in making.catalog("integer").ids_of(range(200)):
                with suppress(ArtifactError, ItemsRefused):
                    assert artifact.catalog.ids_of(artifact.catalog.rows_of([value])) == [value]


# The table --------------------------------------------------------------------------------------


def forge_table(
    path: Path, table: pa.Table, shape: list[int] | None = None, **options: Any
) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    shape = shape or [table.num_rows, table.num_columns]
    making.forge_file(path, "items", sink.getvalue().to_pybytes(), shape=shape)


def table_refusal(path: Path) -> ArtifactError:
    with open_artifact(path) as artifact, pytest.raises(ArtifactError) as caught:
        artifact.catalog.attributes_of([0])
    assert caught.value.code == "artifact-invalid"
    assert "items.arrow" in str(caught.value)
    return caught.value


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_compressed_table_is_refused(saved: Path, codec: str) -> None:
    table = making.catalog().table
    assert table is not None
    forge_table(saved, table, compression=codec)
    assert "not compressed" in str(table_refusal(saved))


def test_a_table_of_another_size_is_refused(saved: Path) -> None:
    forge_table(saved, pa.table({"x": range(199)}), [200, 1])
    assert "got 199" in str(table_refusal(saved))


def test_a_table_of_other_types_is_refused(saved: Path) -> None:
    forge_table(saved, pa.table({"x": [{"a": 1}] * 200}))
    assert "struct" in str(table_refusal(saved))


def test_a_table_that_points_outside_itself_is_refused(saved: Path) -> None:
    offsets = np.zeros(201, dtype=np.int32)
    wild = pa.Array.from_buffers(
        pa.string(), 200, [None, pa.py_buffer(offsets), pa.py_buffer(b"x")]
    )
    offsets[100] = 1_000_000
    forge_table(saved, pa.table([wild], names=["x"]))
    table_refusal(saved)


def test_a_table_that_is_none_is_refused_whatever_its_bytes(saved: Path) -> None:
    data = (saved / "items.arrow").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        start = int(random.integers(8, len(data) - 600))
        changed = data[:start] + random.bytes(8) + data[start + 8 :]
        making.forge_file(saved, "items", changed)
        with open_artifact(saved) as artifact:
            try:
                artifact.catalog.attributes_of(range(200))
            except ArtifactError as error:
                code = error.code
                assert code == "artifact-invalid"
        making.forge_file(saved, "items", data)
