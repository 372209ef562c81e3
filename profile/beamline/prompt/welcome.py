"""What a scientist reads when a session has opened: what is there, and what is missing."""

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from whiteline.beamline.session import Session
from whiteline.plans.shutter import OPEN

FEW = 4
"""Of so many devices that do not answer each has a sentence; more are named in one."""


EXAMPLES = (
    "mv(energy, 8345)   wa()   dscan(zone_plate.z, -0.1, 0.1, 20, 0.1)   cat[-1]",
    "use_sample('particles', material='LiNiO2', references={'Ni2+': 'nio.xdi', 'Ni3+': 'linio2.xdi'})",
    "RE(xanes_stack(camera, energy, energies.xanes('Ni'), sample=sample, shutter=fast_shutter, exposure_s=0.2))",
)


def welcome(console: Console, session: Session, no_plots: str | None) -> None:
    """Print it.

    Parameters
    ----------
    console : Console
        Where.
    session : Session
        That has opened.
    no_plots : str or None
        Why there are no plots of counts; None if there are.
    """
    beamline, count = session.beamline, len(session.devices)
    sample = session.engine.md.get("sample") or "not named"
    references = ", ".join(one.name for one in session.live.settings.references) or "none"
    lines = [
        Text(f"{count} devices · {len(session.store.catalog)} runs in the catalog"),
        Text(f"sample {sample} · references of the live fit: {references}"),
    ]
    if no_plots is not None:
        lines.append(Text(no_plots, "yellow"))
    if not session.missing:
        lines.append(_beam(session))
    lines += [Text(""), *(Text(example, "cyan") for example in EXAMPLES)]
    console.print(Panel(Text("\n").join(lines), title=beamline.title, title_align="left", expand=False))
    if session.other:
        console.print(Text(f"Take care: {session.other}.", "bold yellow"))
    for sentence in _missing(session.missing, count):
        console.print(Text(sentence, "bold red"))


def _beam(session: Session) -> Text:
    """Return what the ring and the shutters let through."""
    devices = session.devices
    ring = f"ring {float(devices.ring.current.get()):.0f} mA"
    if devices.photon_shutter.status.get() == OPEN:
        return Text(f"{ring} · photon shutter open", "green")
    return Text(f'{ring} · photon shutter closed: mv(photon_shutter, "Open") lets the beam in', "yellow")


def _missing(missing: tuple[str, ...], count: int) -> list[str]:
    if len(missing) <= FEW:
        return list(missing)
    names = ", ".join(sentence.split()[0] for sentence in missing)
    return [
        f"{len(missing)} of {count} devices do not answer: {names}. Scans will fail, old runs can be read. `whiteline "
        "check` says what is missing; `whiteline shell --simulated` opens a session on a simulated beamline."
    ]
