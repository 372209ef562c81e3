"""A session that takes a stack with the store of its beamline, or looks at what one left behind.

It is run as a process of its own, so that it can be killed: `stack_session.py take|look DESCRIPTION DATA`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.beamline.simulation.options import Options
from whiteline.beamline.store.writing import open_store

FRAMES = 2


def take(beamline: Any) -> None:
    """Take one stack after the other until this process is killed; say when the first one begins."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    from bluesky import RunEngine

    from whiteline.beamline.build import build

    devices = build(beamline)
    store = open_store(beamline)
    devices.wait_for_connection(timeout=60)
    engine = RunEngine(context_managers=[])
    settings = {"exposure": 0.2, "frames": FRAMES, "binning": 8, "roi": (512, 512, 1024, 1024)}
    engine(bps.configure(devices.camera, settings))
    print("ready", flush=True)
    engine.subscribe(store)
    while True:
        engine(bp.list_scan([devices.camera], devices.energy, [8330.0, 8335.0, 8340.0, 8345.0, 8350.0, 8355.0]))


def look(beamline: Any, data: Path) -> dict[str, Any]:
    """Open the catalog anew, and compare all frames that it holds with those on the disk."""
    with open_store(beamline) as store:
        held: dict[str, set[int]] = {}
        failed, wrong = 0, []
        for uid, run in store.catalog.items():
            failed += run.stop["exit_status"] == "fail"
            for name in run:
                for key, array in run[name].base.items():
                    if key == "internal":
                        continue
                    (source,) = array.include_data_sources().data_sources()
                    path = source.assets[0].data_uri.removeprefix("file://localhost")
                    frames = np.asarray(array.read()).reshape(-1, *array.shape[-2:])
                    ranges = source.parameters.get("frames", [[[0, len(frames)]]])[0]
                    places = [place for start, end in ranges for place in range(start, end)]
                    with h5py.File(path, "r", libver="latest", swmr=True) as file:
                        same = np.array_equal(frames, file["entry/data/data"][places])
                    if not same or held.setdefault(path, set()) & set(places):
                        wrong.append(f"{uid} {name} {key}")
                    held[path] |= set(places)
        lost = 0
        for path in data.glob("*.h5"):
            with h5py.File(path, "r", libver="latest", swmr=True) as file:
                if "entry/data/data" in file:
                    lost += file["entry/data/data"].shape[0] - len(held.get(str(path), ()))
        frames = sum(map(len, held.values()))
        return {"runs": len(store.catalog), "failed": failed, "frames": frames, "lost": lost, "wrong": wrong} | {
            "troubles": store.troubles
        }


def main() -> None:
    """Do what the command says."""
    what, description, data = sys.argv[1:]
    beamline = Options(beamline=description, data=Path(data)).description()
    if what == "take":
        take(beamline)
    else:
        print(json.dumps(look(beamline, Path(data))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
