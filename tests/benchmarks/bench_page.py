"""How soon the picture is in the browser, and what it costs a scan that three people look at it.

`page_update_ms`: from handing the document that closes an energy to the publisher, its frames already in their file, to
the map of all frames so far being drawn in the browser (the second animation frame after its data have come); 512²
pixels, 5 frames and a flat at each energy, each frame registered; the median over the energies after the fractions are
determined. Session, page and Chromium, which draws without a graphics card, share the machine. Reference of the same
run: `page_poll_ms`, after how long the page looks for something new, of which half is in the figure on the average.

`page_scan_slowdown`: the time of the same scan of the twin at speed 1 with the page and three browsers beside it, over
that without; both publish. The median of the ratios of pairs that follow each other, in turns with either first.
`page_scan_s` is the scan without.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "unit" / "analysis" / "live"), str(TESTS / "ioc")]

GOALS = {"page_update_ms": ("<=", 1000.0), "page_scan_slowdown": ("<=", 1.03)}

SIZE, ENERGIES, DETERMINED = 512, 16, 6
SCANNED, EXPOSURE_S, FRAMES = 6, 0.2, 5
PAIRS, VIEWERS = 3, 3

DRAWN = """
const number = arguments[0], done = arguments[1];
function look() {
  const model = Bokeh.documents[0].get_model_by_name("map"), data = model && model.data;
  const now = data && (data.get ? data.get("number") : data.number);
  if (now && now[0] >= number) requestAnimationFrame(() => requestAnimationFrame(() => done(now[0])));
  else requestAnimationFrame(look);
}
look();
"""


def measure(*, long: bool) -> dict[str, float]:
    """Measure in another process, which decides once and for all where it looks for IOCs."""
    from page_browser import CHROMIUM, DRIVER

    if CHROMIUM is None or DRIVER is None:
        raise RuntimeError("the page cannot be measured without a browser: apt-get install chromium chromium-driver")
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        environment = os.environ | client_environment(*ports)
        command = [sys.executable, __file__, *map(str, ports), folder, *(["--long"] if long else [])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the page could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def updates(folder: Path) -> dict[str, float]:
    """Return how long a picture takes from the document that closes its energy."""
    import numpy as np
    from making_runs import EDGE, Made, references
    from page_browser import Page, served

    from whiteline.beamline.page.publishing import Publisher
    from whiteline.beamline.page.viewer import EVERY_MS

    energies = EDGE + np.concatenate([[-100.0, -40.0, 0.0, 12.0, 20.0, 60.0], np.linspace(-20, 150, 60)])[:ENERGIES]
    walk = np.cumsum(np.random.default_rng(1).normal(0, 0.7, (ENERGIES, 2)), axis=0)
    files = {}
    for one in references():
        path = folder / f"{one.name}.dat"
        np.savetxt(path, np.stack([one.energy, one.absorption], axis=1))
        files[one.name] = f"{path}:eV"
    made = Made(
        folder, energies.tolist(), 1, shape=(SIZE, SIZE), frames=FRAMES, drift=walk - walk[0], similar_frames=True,
        md={"references": files, "num_points": ENERGIES},
    )  # fmt: skip
    address = f"ipc://{folder}/documents"
    publisher, waits = Publisher(address), []

    def give(pairs: Any) -> float:
        given = list(pairs)
        for name, document in given[:-1]:
            publisher(name, document)
        begin = time.perf_counter()
        publisher(*given[-1])
        return begin

    with served("--data", str(folder / "data"), "--zmq", address) as url, Page(url) as page:
        give(made.begin())
        give(made.point("dark"))
        page.until(lambda: "run 1" in page.text(), "the run is shown")
        time.sleep(6)  # as a scan does before its first frame
        for index in range(ENERGIES):
            give(made.point("sample", index))
            begin = give(made.point("flat", index))
            page.driver.execute_async_script(DRAWN, index + 1)
            waits.append(time.perf_counter() - begin)
        page.keep("benchmark-1280")
        give(made.end())
    publisher.close()
    settled = [1e3 * one for one in waits[DETERMINED:]]
    return {"page_update_ms": median(settled), "page_update_ms_worst": max(settled), "page_poll_ms": float(EVERY_MS)}


def slowdown(ports: list[int], folder: Path, pairs: int) -> dict[str, float]:
    """Return how much longer a scan takes that three browsers look at."""
    from bluesky import plan_stubs as bps
    from page_browser import Page, served

    from whiteline.beamline.session import open_session
    from whiteline.plans import xanes_stack

    address = f"ipc://{folder}/session"
    with simulated(Options(beamline="txm", data=folder), ports=ports) as twin:
        session = open_session(twin.beamline, tell=lambda line: None, connect_s=60.0, publish=address)
        devices = session.devices
        energies = [8320.0 + 8 * number for number in range(SCANNED)]

        def prepared() -> Any:
            row = (2048 - 2 * SIZE) // 2
            yield from bps.mv(devices.photon_shutter, "Open")
            yield from bps.configure(devices.camera, {"binning": 2, "roi": (row, row, 2 * SIZE, 2 * SIZE)})

        def scanned() -> float:
            session.engine(bps.mv(devices.energy, energies[0]))
            plan = xanes_stack(
                devices.camera, devices.energy, energies, sample=devices.sample, shutter=devices.fast_shutter,
                exposure_s=EXPOSURE_S, frames=FRAMES,
            )  # fmt: skip
            begun = time.monotonic()
            session.engine(plan)
            took = time.monotonic() - begun
            session.store.wait(60.0)
            session.live.wait(120.0)
            return took

        def watched() -> float:
            with ExitStack() as stack:
                url = stack.enter_context(served("--data", str(folder), "--zmq", address))
                pages = [stack.enter_context(Page(url)) for _ in range(VIEWERS)]
                for page in pages:
                    page.until(lambda page=page: page.data("map")["number"], "the last run is shown")
                time.sleep(3)
                took = scanned()
                for page in pages:
                    page.until(lambda page=page: page.data("map")["number"] == [SCANNED], "the whole scan is shown")
            return took

        session.engine(prepared())
        scanned()  # the first one compiles and connects
        found = []
        for number in range(pairs):
            first, second = (scanned, watched) if number % 2 else (watched, scanned)
            times = {one: one() for one in (first, second)}
            found.append((times[watched], times[scanned]))
        session.close()
    return {
        "page_scan_slowdown": median(one / other for one, other in found),
        "page_scan_slowdown_worst": max(one / other for one, other in found),
        "page_scan_s": median(other for _, other in found),
    }


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ports", nargs=3, type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--long", action="store_true")
    chosen = parser.parse_args()
    found = {}
    for name in ("updates", "scans"):
        (chosen.folder / name).mkdir()
    found |= updates(chosen.folder / "updates")
    found |= slowdown(chosen.ports, chosen.folder / "scans", 5 if chosen.long else PAIRS)
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
