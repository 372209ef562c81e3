"""The startup folder under a real queue server: a stack is queued, taken, stored, and the shutter closed."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from commands import BIN, environment, free_port, simulating, until

pytestmark = [
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server, a Debian package"),
    pytest.mark.skipif(not (BIN / "start-re-manager").exists(), reason="needs bluesky-queueserver, the extra queue"),
]

ENERGIES = [8325.0, 8340.0, 8355.0]

LOOK = """
import epics, json
from whiteline.analysis.runs import open_run
from whiteline.beamline.description import load
from whiteline.beamline.store.catalog import open_catalog
run = open_run(open_catalog(load("txm"))["{uid}"])
answer = dict(status=run.exit_status, plan=run.start["plan_name"], energies=len(run.energies),
              missing=len(run.completeness.missing),
              light=float(run.frames[0].mean() - run.dark().mean()),
              shutter=epics.caget("TXM:shutter:status", as_string=True))
print(json.dumps(answer))
"""

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    home = tmp_path_factory.mktemp("home")
    with simulating(home, "--speed", "20") as told:
        yield home, environment(home, **told)


@pytest.fixture(scope="module")
def ports() -> tuple[int, int, int]:
    """Of Redis, and of the manager: where it is told, and where it tells."""
    return free_port(), free_port(), free_port()


@pytest.fixture(scope="module")
def ask(floor: tuple[Path, dict[str, str]], ports: tuple[int, int, int]) -> Iterator[Ask]:
    """What the manager answers."""
    home, where = floor
    redis, control, info = ports
    root = Path(__file__).parents[2]
    startup = home / "startup"  # a copy, as the manager keeps its lists there
    shutil.copytree(root / "profile" / "startup", startup, ignore=shutil.ignore_patterns("__pycache__"))
    address = f"tcp://127.0.0.1:{control}"
    manager = [
        BIN / "start-re-manager", "--startup-dir", startup, "--redis-addr", f"127.0.0.1:{redis}", "--keep-re",
        "--zmq-control-addr", address, "--zmq-info-addr", f"tcp://127.0.0.1:{info}", "--zmq-publish-console", "OFF",
    ]  # fmt: skip
    with ExitStack() as stack:
        log = stack.enter_context((home / "manager.log").open("wb"))
        for command in (
            ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)],
            [str(word) for word in manager],
        ):
            process = subprocess.Popen(command, env=where, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)

        def answer(*words: str) -> dict[str, Any]:
            code = (
                "import sys, json\n"
                "from bluesky_queueserver.manager.comms import ZMQCommSendThreads\n"
                f"client = ZMQCommSendThreads(zmq_server_address={address!r})\n"
                "print(json.dumps(client.send_message(method=sys.argv[1], params=json.loads(sys.argv[2]))))\n"
            )
            done = subprocess.run(
                [str(BIN / "python"), "-c", code, words[0], words[1] if len(words) > 1 else "{}"],
                env=where, capture_output=True, text=True, check=True,
            )  # fmt: skip
            return dict(json.loads(done.stdout))

        until(lambda: _said(address, where, "status"), "the manager to answer", 60.0)
        yield answer
        print((home / "manager.log").read_text()[-4000:])


def _said(address: str, where: dict[str, str], *words: str) -> bool:
    done = subprocess.run(
        [str(BIN / "qserver"), "--address", address, *words], env=where, capture_output=True, text=True, check=False
    )
    return done.returncode == 0


def test_a_stack_comes_from_the_queue(
    ask: Ask, floor: tuple[Path, dict[str, str]], ports: tuple[int, int, int]
) -> None:
    _, where = floor
    address = f"tcp://127.0.0.1:{ports[1]}"
    assert _said(address, where, "environment", "open")
    until(lambda: ask("status")["worker_environment_exists"], "the environment to open")
    listed = set(ask("plans_allowed", '{"user_group": "primary"}')["plans_allowed"])
    import whiteline.plans

    assert set(whiteline.plans.__all__) <= listed
    stack = {
        "name": "xanes_stack",
        "kwargs": {
            "camera": "camera", "energy": "energy", "energies": ENERGIES, "sample": "sample",
            "shutter": "fast_shutter", "exposure_s": 0.1, "shift": "live_shift",
        },
    }  # fmt: skip
    for item in ({"name": "mv", "args": ["photon_shutter", "Open"]}, stack):
        assert _said(address, where, "queue", "add", "plan", json.dumps(item))
    refused = {**stack, "item_type": "plan", "kwargs": {**stack["kwargs"], "flats": "sometimes"}}
    added = ask("queue_item_add", json.dumps({"item": refused, "user": "tester", "user_group": "primary"}))
    assert not added["success"]
    assert "flats" in added["msg"]
    assert _said(address, where, "queue", "start")
    until(lambda: ask("status")["items_in_history"] == 2, "both items to be done")
    history = ask("history_get")["items"]
    assert [one["result"]["exit_status"] for one in history] == ["completed", "completed"], history
    (uid,) = history[1]["result"]["run_uids"]
    code = LOOK.format(uid=uid)
    done = subprocess.run([str(BIN / "python"), "-c", code], env=where, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["status"] == "success"
    assert found["plan"] == "xanes_stack"
    assert found["energies"] == len(ENERGIES)
    assert found["missing"] == 0
    assert found["light"] > 100
    assert found["shutter"] == "Closed"


def test_nothing_listens_beyond_loopback(ask: Ask, ports: tuple[int, int, int]) -> None:
    ask("status")
    if (ss := shutil.which("ss")) is None:
        pytest.skip("needs ss, of the Debian package iproute2")
    listening = subprocess.run([ss, "-ltnH"], capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3].rpartition(":") for line in listening.splitlines()]
    ours = {int(port): host for host, _, port in addresses if int(port) in ports}
    # nothing is published where the third one is for
    assert ours == dict.fromkeys(ports[:2], "127.0.0.1")
