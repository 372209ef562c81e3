"""A session as scientists have it: runs are kept, told of at their end, and what was learnt is there the next day."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate

from whiteline.beamline.simulation import Simulated
from whiteline.beamline.simulation.options import Options

ENERGIES = [8325.0, 8345.0, 8365.0]


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=20.0)


def test_a_stack_is_predicted_taken_kept_and_told_of(twin: Simulated, ca: Channels) -> None:
    from whiteline.beamline.session import open_session
    from whiteline.plans import xanes_stack
    from whiteline.plans.preflight import after_preflight

    told: list[str] = []
    session = open_session(twin.beamline, material="LiFePO4", tell=told.append, connect_s=60.0)
    devices = session.devices
    assert not session.missing
    assert devices.heartbeat.armed.get() == 1
    devices.photon_shutter.set("Open").wait(60.0)
    devices.camera.change({"roi": (896, 896, 256, 256), "binning": 2}).wait(60.0)
    session.engine.md["sample"] = "particles"

    def scan() -> Any:
        return after_preflight(
            xanes_stack, devices.camera, devices.energy, ENERGIES, sample=devices.sample, shutter=devices.fast_shutter,
            exposure_s=0.2, passes=2, dose_budget_Gy=1e12, dose=session.meter.dose,
            conditions=session.conditions("LiFePO4"), accept_dose=True,
        )  # fmt: skip

    (uid,) = session.engine(scan())
    (line,) = told
    print(line)
    for part in ("taken ", "predicted ", "dead time ", "moving ", "dose ", " Gy by the figure of the description"):
        assert part in line
    assert ca.get("TXM:shutter:status", as_string=True) == "Closed"
    session.store.wait(60.0)
    run = session.store.catalog[uid]
    assert run.start["sample"] == "particles"
    assert run.start["preflight"]["accept_dose"] is True
    number = run.start["scan_id"]
    assert "baseline" in run
    session.close()
    assert devices.heartbeat.armed.get() == 0

    # the next day
    again = open_session(twin.beamline, tell=told.append, connect_s=60.0)
    assert again.engine.md["scan_id"] == number
    assert again.engine.md["sample"] == "particles"
    assert again.times.knows("set", "energy")
    assert uid in again.store.catalog

    # what cannot be kept at the end must not keep the rest from its end
    def full(_: Path) -> None:
        raise OSError("no space left on device")

    again._watch.save = full
    with pytest.raises(OSError, match="no space left"):
        again.close()
    assert devices.heartbeat.armed.get(use_monitor=False) == 0
    third = open_session(twin.beamline, tell=told.append, connect_s=60.0)
    assert not third.other
    third.close()


def test_a_device_that_is_missing_takes_no_safeguard_from_the_others(twin: Simulated, ca: Channels) -> None:
    from bluesky import plan_stubs as bps
    from bluesky.plans import count

    from whiteline.beamline.session import open_session

    assert twin.beamline.foil_wheel is not None
    elsewhere = twin.beamline.foil_wheel.model_copy(update={"pv": "NOBODY:foils"})
    session = open_session(
        twin.beamline.model_copy(update={"foil_wheel": elsewhere}), tell=lambda _: None, connect_s=5.0
    )
    (sentence,) = session.missing
    assert sentence.startswith("foil_wheel does not answer")
    devices = session.devices
    assert devices.heartbeat.armed.get() == 1
    devices.photon_shutter.set("Open").wait(60.0)
    (uid,) = session.engine(count([devices.ring], 2))
    session.store.wait(60.0)
    assert "baseline" in session.store.catalog[uid]
    session.engine(bps.mv(devices.fast_shutter, "Open"))
    ca.put("SIM:machine:fault:beam_dump", 200.0)  # 10 s of wall time
    begun = session.engine(count([devices.ring], 2, delay=0.1))  # waits until there is beam again
    assert begun
    assert devices.ring.stored.get(use_monitor=False)
    session.close()
    assert ca.get("TXM:shutter:status", as_string=True) == "Closed"


def test_a_closed_session_searches_for_nothing_that_is_lost_after_it(twin: Simulated) -> None:
    from whiteline.beamline.session import open_session

    session = open_session(twin.beamline, tell=lambda _: None, connect_s=60.0)
    session.close()
    lost = threading.Event()
    session.devices.mono.bragg.user_readback.subscribe(
        lambda connected, **_: connected or lost.set(), event_type="meta", run=False
    )
    twin.kill("beamline")
    assert lost.wait(60.0)
    deadline = time.monotonic() + 60.0
    while searching := [one.name for one in threading.enumerate() if one.name.startswith("errand of")]:
        assert time.monotonic() < deadline, searching
        time.sleep(0.1)
    twin.start("beamline")


def test_without_a_beamline_it_opens_and_says_what_is_missing(ca_ports: list[int], tmp_path: Path) -> None:
    from bluesky import plan_stubs as bps

    from whiteline.beamline.session import open_session

    beamline = Options(beamline="nanoprobe", data=tmp_path).description()
    session = open_session(beamline, connect_s=0.5)
    assert len(session.missing) > 5
    assert any(sentence.startswith("mono does not answer within 0.5 s") for sentence in session.missing)
    assert all("whiteline check" in sentence for sentence in session.missing)
    session.engine([*bps.open_run(), *bps.close_run()])
    session.close()


def test_references_that_are_gone_keep_no_session_from_opening(
    ca_ports: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whiteline.beamline.session import open_session

    beamline = Options(beamline="nanoprobe", data=tmp_path / "data").description()
    energies = np.arange(8200.0, 8700.0, 1.0)
    step = 1 / (1 + np.exp(-(energies - 8345.0) / 1.5))
    np.savetxt(tmp_path / "nickel.txt", np.column_stack([energies, step]))
    monkeypatch.chdir(tmp_path)
    session = open_session(beamline, connect_s=0.1)
    session.use_sample("particles", references={"Ni2+": "nickel.txt:eV"})
    session.close()
    monkeypatch.chdir("/")
    told: list[str] = []
    session = open_session(beamline, connect_s=0.1, tell=told.append)
    assert [one.name for one in session.live.settings.references] == ["Ni2+"]
    assert not any("references" in one for one in told)
    session.close()
    (tmp_path / "nickel.txt").unlink()
    session = open_session(beamline, connect_s=0.1, tell=told.append)
    assert session.live.settings.references == ()
    assert any("nickel.txt" in one and "use_sample" in one for one in told)
    session.close()
