"""How long a scientist waits for a prompt: `whiteline shell` on a simulated beamline that runs, the second start.

    session_ready_s     from the command to the prompt, the median of five
    session_..._s       its parts, one after the other in a process of their own; the rest is the start of IPython
    session_ipython_s   the reference: `ipython` alone, from command to prompt

The first start compiles and makes the catalog; it is not counted.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

GOALS = {"session_ready_s": ("<=", 8.0)}

PARTS = """
import time
def lap(name, since=[time.perf_counter()]):
    now = time.perf_counter(); print(name, now - since[0]); since[0] = time.perf_counter()
from whiteline.beamline.cli.collecting_later import collecting_later
from whiteline.beamline.cli.quiet import silence_libraries
silence_libraries()
loading = collecting_later()
loading.__enter__()
from whiteline.beamline import session as parts
from whiteline.beamline.description import load
beamline = load("txm"); lap("import")
devices = parts.build(beamline); lap("build")
assert not parts._missing(devices, 60.0); lap("connect")
store = parts.open_store(beamline); lap("store")
parts.simulated_references(beamline); lap("references")
store.close()
"""


def measure(*, long: bool = False) -> dict[str, float]:
    """Return the keys above [s]."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "ioc"))
    from commands import BIN, Terminal, environment, simulating

    with tempfile.TemporaryDirectory() as folder, simulating(Path(folder), "--speed", "10") as told:
        home = Path(folder)
        where = environment(home, **told)

        def prompt(*command: str) -> float:
            began = time.perf_counter()
            session = Terminal(home, where, command=command)
            session.prompt()
            took = time.perf_counter() - began
            session.child.sendline("quit")
            session.child.expect("\n")
            session.child.wait()
            return took

        prompt("whiteline", "shell")
        ready = [prompt("whiteline", "shell") for _ in range(5)]
        alone = [prompt("ipython", "--no-banner") for _ in range(3)]
        done = subprocess.run([str(BIN / "python"), "-c", PARTS], env=where, capture_output=True, text=True, check=True)
    parts = {f"session_{name}_s": float(took) for name, took in (line.split() for line in done.stdout.splitlines())}
    return {"session_ready_s": median(ready), "session_ipython_s": median(alone), **parts}
