"""A real S3 server: Ceph's gateway over one monitor and one store in memory, without root.

The programs are Debian's, unpacked below a folder by `scripts/ceph`. Nothing of it outlives the
process that started it, nor listens on anything but 127.0.0.1.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import urllib3

ROOT = Path(__file__).parents[2] / ".ceph" / "root"
_START_S = 60.0


def is_installed() -> bool:
    """Tell whether the programs are there."""
    return (ROOT / "usr/bin/radosgw").exists()


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """Start a cluster with its gateway, give its URL, and end it with the block.

    Its users are `testing`, whose secret key is ``never-shown``, and `stranger`, who may read and
    write nothing of the other's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    monitor, http = _free_port(), _free_port()
    _configure(folder, monitor, http)
    _make(folder, monitor)
    running: list[subprocess.Popen[bytes]] = []
    try:
        running.append(_start(folder, "ceph-mon", "-i", "a"))
        running.append(_start(folder, "ceph-osd", "-i", "0"))
        for name in ("testing", "stranger"):
            _make_user(folder, name)
        running.append(_start(folder, "radosgw", "-n", "client.admin"))
        url = f"http://127.0.0.1:{http}"
        _wait(url, running[-1], folder)
        yield url
    finally:
        for process in reversed(running):
            _end(process)


def _configure(folder: Path, monitor: int, http: int) -> None:
    settings = {
        "fsid": uuid.UUID(int=1),
        "mon_host": f"[v2:127.0.0.1:{monitor}/0]",
        "public_network": "127.0.0.0/8",
        "public_addr": "127.0.0.1",
        "cluster_addr": "127.0.0.1",
        "auth_cluster_required": "none",
        "auth_service_required": "none",
        "auth_client_required": "none",
        # The gateway wants an encrypted connection to its monitor unless told otherwise.
        "ms_mon_client_mode": "crc",
        "rgw_data": folder,
        "run_dir": folder,
        "admin_socket": '""',
        "log_file": folder / "$name.log",
        "mon_cluster_log_file": folder / "cluster.log",
        "crash_dir": folder,
        "mon_data": folder / "mon",
        "mon_allow_pool_delete": "true",
        "mon_max_pg_per_osd": 1000,
        "mon_data_avail_crit": 1,
        "osd_data": folder / "osd",
        "osd_objectstore": "memstore",
        "memstore_device_bytes": 4 << 30,
        "osd_pool_default_size": 1,
        "osd_pool_default_min_size": 1,
        "osd_pool_default_pg_num": 4,
        "osd_pool_default_pg_autoscale_mode": "off",
        "osd_crush_chooseleaf_type": 0,
        "osd_crush_update_on_start": "false",
        "osd_class_dir": ROOT / "usr/lib/x86_64-linux-gnu/rados-classes",
        "plugin_dir": ROOT / "usr/lib/x86_64-linux-gnu/ceph",
        "erasure_code_dir": ROOT / "usr/lib/x86_64-linux-gnu/ceph/erasure-code",
        "rgw_frontends": f"beast endpoint=127.0.0.1:{http}",
        "rgw_enable_usage_log": "false",
        "rgw_enable_gc_threads": "false",
        "rgw_enable_lc_threads": "false",
        "rgw_run_sync_thread": "false",
        "rgw_dynamic_resharding": "false",
        "rgw_override_bucket_index_max_shards": 1,
        "rgw_thread_pool_size": 16,
        "rgw_mime_types_file": ROOT / "etc/mime.types",
    }
    lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
    (folder / "ceph.conf").write_text("\n".join(lines) + "\n")


def _make(folder: Path, monitor: int) -> None:
    """Make the monitor's and the store's data, as if an administrator had declared one store."""
    for name in ("mon", "osd"):
        (folder / name).mkdir(exist_ok=True)
    fsid = str(uuid.UUID(int=1))
    address = f"[v2:127.0.0.1:{monitor}/0]"
    _run(folder, "monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, "monmap")
    _run(folder, "osdmaptool", "--createsimple", "1", "--with-default-pool", "osdmap")
    _run(
        folder,
        *("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--osdmap", "osdmap"),
        *("--fsid", fsid),
    )
    _run(folder, "ceph-osd", "--mkfs", "-i", "0", "--no-mon-config")


def _make_user(folder: Path, name: str) -> None:
    _run(
        folder,
        *("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}"),
        *(f"--access-key={name}", "--secret=never-shown"),
    )


def _environ() -> dict[str, str]:
    library = ROOT / "usr/lib/x86_64-linux-gnu"
    paths = (library, library / "ceph", ROOT / "lib/x86_64-linux-gnu")
    return {"LD_LIBRARY_PATH": ":".join(map(str, paths)), "PATH": os.defpath, "HOME": "/nowhere"}


def _command(folder: Path, program: str, *arguments: str) -> list[str]:
    return [str(ROOT / "usr/bin" / program), *arguments, "-c", str(folder / "ceph.conf")]


def _run(folder: Path, program: str, *arguments: str) -> bytes:
    done = subprocess.run(
        _command(folder, program, *arguments),
        cwd=folder,
        env=_environ(),
        capture_output=True,
        timeout=_START_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def _start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / f"{program}.out").open("wb") as out:
        return subprocess.Popen(
            [*_command(folder, program, *arguments), "-f"],
            cwd=folder,
            env=_environ(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError((folder / "radosgw.out").read_text(errors="replace")[-2000:])
        try:
            if urllib3.request("GET", url, retries=False, timeout=5).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("the gateway does not answer")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    """Return a port below those that the system gives to whoever asks for any."""
    while True:
        port = secrets.randbelow(10_000) + 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
