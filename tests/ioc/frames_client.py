"""Do much of what a scan does on a simulated TXM, and print what each frame was: `python frames_client.py OPTIONS`.

It runs the beamline itself, in a process of its own: a client library knows one simulated beamline only.
"""

import hashlib
import json
import sys

import h5py
from ca_client import Camera, Channels

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options


def main(options: str) -> None:
    with simulated(Options.from_json(options)) as twin:
        ca = Channels()
        camera = Camera(ca, twin)
        frames = [*camera.frames(2)]
        camera.open()
        frames += [*camera.frames(2)]
        # time stands still while nothing moves and nothing exposes, whatever else takes a while
        for foil in (1, 0):
            ca.put("TXM:foils", foil)
        # side by side: they may end in any order
        ca.together({"TXM:sample:coarse:x": 0.004, "TXM:sample:coarse:y": -0.003, "TXM:zone_plate:x": 1.0})
        frames += [*camera.frames(3)]
        ca.put("MONO:bragg", ca.get("MONO:bragg.VAL") - 0.01)
        ca.put("ID:gap:set", 5.02)
        ca.put("ID:gap:start", 1)
        ca.put("SIM:fault:thermal_jump", 5.0)
        frames += [*camera.frames(2)]
        ca.put("MONO:feedback:enable", "Off")
        ca.put("MONO:fine_pitch", 3.0)
        ca.put("TXM:filters:1:insert", "In")
        frames += [*camera.frames(2)]
        ca.put("TXM:sample:rotation", 3.0)
        ca.put("TXM:sample:fine:x", 2.5)
        frames += [*camera.frames(2)]
        ca.put("SIM:truth:write", "Write")
        with h5py.File(ca.get("SIM:truth:file", as_string=True)) as file:
            times = file["exposures/time"][:].tolist()
        digests = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]
        print(json.dumps({"digests": digests, "times": times}))


if __name__ == "__main__":
    main(sys.argv[1])
