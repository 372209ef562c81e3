"""What a plan would do, as a walk through its messages has found."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class WalkedRun:
    """One run of a plan.

    Attributes
    ----------
    begun, seconds : float
        When it begins, and how long it takes [s].
    exposed_s : dict
        How long the beam is on the sample in it, as in `Walked`.
    """

    begun: float
    seconds: float = 0.0
    exposed_s: dict[tuple[tuple[float, ...], float], float] = field(default_factory=dict)


@dataclass
class Walked:
    """What a plan would do.

    Attributes
    ----------
    seconds : float
        From beginning to end.
    by_cause : dict of str to float
        Where it goes [s]: "moving", "counting", "flying", "shutter", "messages", "waiting".
    messages : int
        How many there are.
    events : Counter
        By stream.
    frames, bytes : int
        That detectors write.
    travel : dict of str to (float, float)
        Lowest and highest position of each axis, those included that the energy moves.
    energies : set of float
        At which events are taken that are neither flats nor darks [eV].
    facts : dict of str to str
        What else devices tell of their moves, such as the harmonic, by what it is.
    exposed_s : dict
        How long the beam is on the sample, by place and energy [s]; a place is where the axes of the sample stand.
    violations : list of str
        What would be refused, each once.
    unchecked : set of str
        What could not be checked.
    unknown_times : set of str
        Whose times no device computes and no earlier run has shown.
    shuttered : bool
        Whether the plan moves a shutter.
    runs : list of WalkedRun
        One after the other.
    up_to : bool
        Whether a decision that depends on data was met: time and dose are at most these.
    """

    seconds: float = 0.0
    by_cause: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    messages: int = 0
    events: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    bytes: int = 0
    travel: dict[str, tuple[float, float]] = field(default_factory=dict)
    energies: set[float] = field(default_factory=set)
    facts: dict[str, str] = field(default_factory=dict)
    exposed_s: dict[tuple[tuple[float, ...], float], float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    unchecked: set[str] = field(default_factory=set)
    unknown_times: set[str] = field(default_factory=set)
    shuttered: bool = False
    runs: list[WalkedRun] = field(default_factory=list)
    up_to: bool = False
