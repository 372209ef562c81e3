"""The same store with its catalog held by a Tiled server, and in PostgreSQL: nothing but URIs changes."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from whiteline.beamline.description import Beamline
from whiteline.beamline.store.catalog import readable_folders, service_configuration
from whiteline.beamline.store.writing import Store, open_store
from whiteline.sim.ioc.ports import leased

KEY = "whitelinetest"
READY_S = 90.0


@contextmanager
def served(beamline: Beamline, folder: Path, port: int) -> Iterator[str]:
    """Run a Tiled server on loopback that holds the catalog of a beamline; give its address."""
    configuration = folder / "service.yml"
    configuration.write_text(json.dumps(service_configuration(beamline.store, readable_folders(beamline))))
    command = [sys.executable, "-m", "tiled", "serve", "config", str(configuration)]
    environment = os.environ | {"TILED_SINGLE_USER_API_KEY": KEY}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], env=environment, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_S
        while not _answers(address):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz").is_success
    except httpx.TransportError:
        return False


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL on loopback, as somebody who may not do much; give the address of an empty database."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql")
    binaries = Path(found).resolve().parent
    who: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="whiteline-postgresql-"))
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    who |= {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL}
    try:
        subprocess.run([binaries / "initdb", "-D", folder / "data", "-U", "whiteline", "-A", "trust", "-N"], **who)
        with leased(1) as (port,):
            options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
            command = [binaries / "pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-w"]
            subprocess.run([*command, "start"], **who)
            try:
                where = ["-h", "127.0.0.1", "-p", str(port), "-U", "whiteline"]
                subprocess.run([binaries / "createdb", *where, "runs"], **who)
                yield f"postgresql://whiteline@127.0.0.1:{port}/runs"
            finally:
                subprocess.run([*command, "-m", "immediate", "stop"], **who)
    finally:
        shutil.rmtree(folder)


def _with(beamline: Beamline, name: str, **table: Any) -> Beamline:
    return beamline.model_copy(update={"name": name, "store": beamline.store.model_copy(update=table)})


def _stack(engine: Any, store: Store, camera: Any) -> str:
    """Take a small stack, with flats between the frames of the sample."""
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    @bpp.stage_decorator([camera])
    @bpp.run_decorator()
    def plan() -> Iterator[Any]:
        for name in ("flat", "primary", "flat", "primary"):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([camera], name=name)

    token = engine.subscribe(store)
    (uid,) = engine(plan())
    engine.unsubscribe(token)
    return str(uid)


def _check(catalog: Any, uid: str, camera: Any) -> None:
    run = catalog[uid]
    assert run.stop["exit_status"] == "success"
    assert list(run["primary"].read()[camera.key].values[:, 0, 0, 0]) == [2, 6]
    assert list(run["flat"][camera.key][1, :, 0, 0]) == [4, 5]


def test_a_catalog_that_a_server_holds_is_written_and_read(
    beamline: Beamline, engine: Any, detector: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = _with(beamline, "behind", folder=tmp_path / "server")
    behind.store.arrays.mkdir(parents=True)
    camera = detector()
    monkeypatch.setenv("TILED_API_KEY", KEY)
    with leased(1) as (port,):
        with served(behind, tmp_path, port) as address:
            front = _with(beamline, "front", folder=tmp_path / "client", catalog=address)
            store = open_store(front)
            clients = [store.catalog]
            first = _stack(engine, store, camera)
            assert store.wait()
            assert store.troubles == []
            _check(store.catalog, first, camera)
        # the server is dead now
        second = _stack(engine, store, camera)
        store.close(timeout_s=120)
        assert store.troubles
        with served(behind, tmp_path, port), open_store(front) as again:
            clients.append(again.catalog)
            _check(again.catalog, first, camera)
            _check(again.catalog, second, camera)
    for client in clients:
        client.context.http_client.close()


def test_a_catalog_in_postgresql_is_written_and_read(
    beamline: Beamline, engine: Any, detector: Any, tmp_path: Path
) -> None:
    camera = detector()
    with postgresql() as address:
        described = _with(beamline, "large", folder=tmp_path / "large", catalog=address)
        with open_store(described) as store:
            uid = _stack(engine, store, camera)
            assert store.wait()
            assert store.troubles == []
            _check(store.catalog, uid, camera)
        assert not list((tmp_path / "large").glob("*.db"))
