"""The page in a real browser beside a scan of the twin: maps change, a region has a spectrum, a past run opens.

Pictures are kept under out/page.
"""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Simulate
from page_browser import CHROMIUM, DRIVER, Page, served

from whiteline.beamline.simulation import Simulated

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium or no chromedriver: apt-get install chromium chromium-driver",
)

ENERGIES = [8290.0, 8320.0, 8333.0, 8340.0, 8346.0, 8352.0, 8360.0, 8380.0, 8420.0]
SIDE, BINNING = 96, 4


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    # slowly: a browser on a busy machine is to see several maps while a scan runs
    return simulate("txm", speed=2.0)


@pytest.fixture(scope="module")
def address() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture(scope="module")
def session(twin: Simulated, address: str) -> Iterator[Any]:
    from whiteline.beamline.session import open_session

    told: list[str] = []
    one = open_session(twin.beamline, material="LiNiO2", tell=told.append, connect_s=60.0, publish=address)
    assert not one.missing
    one.devices.photon_shutter.set("Open").wait(60.0)
    start = (2048 - SIDE * BINNING) // 2
    one.devices.camera.change({"roi": (start, start, SIDE * BINNING, SIDE * BINNING), "binning": BINNING}).wait(60.0)
    yield one
    one.close()


def scan(session: Any, energies: list[float], sample: str) -> None:
    from whiteline.plans import xanes_stack

    devices = session.devices
    session.engine(
        xanes_stack(
            devices.camera, devices.energy, energies, sample=devices.sample, shutter=devices.fast_shutter,
            exposure_s=0.05, frames=2, md={"sample": sample},
        )
    )  # fmt: skip


def test_a_scan_is_watched_and_a_past_run_opened(twin: Simulated, session: Any, address: str) -> None:
    scan(session, ENERGIES[2:7], "an earlier sample")
    session.store.wait(60.0)
    data = Path(str(twin.options.data))
    with (
        served("--beamline", str(twin.options.beamline), "--data", str(data), "--zmq", address) as url,
        Page(url) as page,
    ):
        # the session is idle: the page, which came late, shows its last run
        page.until(lambda: "an earlier sample" in page.text(), "the last run of the session is there")
        page.until(lambda: "ended" in page.text(), "that it has ended")
        first = page.until(lambda: page.data("map")["number"], "its map")

        running = threading.Thread(target=scan, args=(session, ENERGIES, "the sample"))
        running.start()
        page.until(lambda: "· the sample" in page.text(), "the next run is shown by itself")
        images = []
        while running.is_alive():
            found = page.data("map")
            if found["number"] and (not images or found["number"] != images[-1]["number"]):
                images.append(found)
                if len(images) == 4:
                    page.keep("running-1280")
        running.join()
        page.until(lambda: page.data("map")["number"] == [len(ENERGIES)], "all frames are in the map")
        page.until(lambda: f"{len(ENERGIES)} of {len(ENERGIES)}" in page.text(), "the progress is that of the whole")
        assert len(images) >= 3, "the map changed while the scan ran"
        sums = [one["image"][0]["sum"] for one in images]
        assert len(set(sums)) == len(sums)
        assert first
        page.until(lambda: "fraction of" in page.text(), "the fraction is determined")

        # what the page has worked out is what the session has
        results = session.live.wait(120)
        (image,) = page.data("map")["image"]
        shown = next(one for name, one in results.maps.items() if f"{name}\n" in page.text())
        assert image["shape"] == [SIDE, SIDE]
        middle = np.where(shown.valid, shown.value, np.nan)[SIDE // 2]
        row = np.array([np.nan if one is None or one == "NaN" else one for one in image["row"]], float)
        np.testing.assert_allclose(row, middle, rtol=1e-4, atol=1e-4)
        text = page.text()
        for told in ("median error of the fraction", "± 0.", "drift", "µm", "focus", "%", "mA", "Gy", "ended"):
            assert told in text
        assert any(unit in text for unit in (" GGy", " MGy", " kGy"))

        # a region that is drawn has its own spectrum, of its own pixels
        pixel = results.pixel_um
        assert pixel is not None
        page.drag(0, (24 * pixel, 30 * pixel), (60 * pixel, 66 * pixel))
        page.until(
            lambda: (
                all(part in page.text() for part in ("region of", "E0"))
                and len(page.data("spectrum")["energy"]) == len(ENERGIES)
            ),
            "the spectrum of the region",
        )
        spectrum = page.data("spectrum")
        np.testing.assert_allclose(spectrum["energy"], ENERGIES, atol=0.3)
        rows = session.live.rows()
        inside = np.stack([rows.frame(index, slice(31, 65))[0][:, 25:59] for index in range(len(ENERGIES))])
        whole = np.nanmean(inside.reshape(len(ENERGIES), -1), axis=1)
        np.testing.assert_allclose(spectrum["value"], whole, atol=0.02)

        for width, height in ((1280, 720), (1920, 1080)):
            page.resize(width, height)
            page.until(lambda width=width: abs(page.run("return innerWidth") - width) < 2, "the window has its size")
            page.until(lambda: page.overlapping() == [], "nothing overlaps or is cut off")
            page.keep(f"region-{width}")
        labels = page.axis_labels()
        assert labels.count("x / µm") == labels.count("y / µm") == 2
        assert {"energy / eV", "optical density", "shift / µm", "detail / best", "frame"} <= set(labels)
        assert "standard error" in labels

        # the run before it, from the catalog
        session.store.wait(60.0)
        page.choose("runs", "an earlier sample")
        page.until(lambda: "an earlier sample" in page.text() and "5 of 5" in page.text(), "the past run")
        page.until(lambda: page.data("map")["number"] == [5], "its maps")
        page.keep("past-run-1920")
        page.choose("runs", "running scan")
        page.until(lambda: "· the sample" in page.text(), "back at the newest run")
        assert page.errors() == []
        assert page.strangers() == set()
