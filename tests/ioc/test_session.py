"""A session as scientists have it: runs are kept, told of at their end, and what was learnt is there the next day."""

from pathlib import Path
from typing import Any

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
    again.close()


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
