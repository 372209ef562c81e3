"""The doors of a live analysis without one: for tests of plans, and for a look at what a plan would do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whiteline.analysis.live.doors import ERROR, ROTATION, SHARPNESS, SHIFT, Part, Quantity, Values
from whiteline.analysis.live.status import NotAnalysed, Pending

Script = Sequence[Mapping[str, float | str]] | Callable[[int], Mapping[str, float | str]]
"""What a part says at its first trigger, its second and so on, the last one for ever; or a function of that number."""

CALM: Mapping[str, Mapping[str, float | str]] = {
    "shift": {"y": 0.0, "x": 0.0, "error_y": 0.01, "error_x": 0.01, "confidence": 0.9, "trusted": 1},
    "sharpness": {"value": 1e-3, "error": 1e-5, "detail": 0.5, "detail_error": 0.01, "of_best": 1.0},
    "error": {"median": 0.02, "valid": 0.8, "lacking": 0.0, "fit": "clean", "clean": 1, "energies": 1},
    "rotation": {
        "column": 255.5, "error": 0.02, "off_um": 0.0, "error_um": 8e-4, "tilt_mrad": 0.0, "tilt_error_mrad": 0.1,
        "rise": 0.0, "confidence": 0.9, "trusted": 1, "reason": "",
    },
}  # fmt: skip
"""Where nothing is said: no drift, sharp, a clean fit, the axis of rotation in the middle."""


class FakeLive:
    """Parts of the protocol of `LiveXanes` that say what they are told to.

    Parameters
    ----------
    shift, sharpness, error, rotation : sequence of mapping or callable, optional
        What each says at one trigger after the other, by the ends of its data keys, such as {"y": 1.5, "x": -0.2}; or
        a function of the number of the trigger, from 0.
    failing : mapping of str to str
        By the name of a part, the sentence with which its trigger fails.
    silent : sequence of str
        Names of parts whose trigger never ends by itself, but by its limit of time.
    timeout_s : float
        Of those [s].
    name : str
        Which the data keys begin with.

    Attributes
    ----------
    triggers : dict of str to int
        How often each part was triggered.
    """

    def __init__(
        self,
        *,
        shift: Script = (),
        sharpness: Script = (),
        error: Script = (),
        rotation: Script = (),
        failing: Mapping[str, str] | None = None,
        silent: Sequence[str] = (),
        timeout_s: float = 1.0,
        name: str = "live",
    ) -> None:
        self.failing, self.silent = dict(failing or {}), tuple(silent)
        self.triggers = {"shift": 0, "sharpness": 0, "error": 0, "rotation": 0}
        self.shift = self._part("shift", SHIFT, shift, name, timeout_s)
        self.sharpness = self._part("sharpness", SHARPNESS, sharpness, name, timeout_s)
        self.error = self._part("error", ERROR, error, name, timeout_s)
        self.rotation = self._part("rotation", ROTATION, rotation, name, timeout_s)

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document, and do nothing with it."""

    def _part(
        self, which: str, quantities: Mapping[str, Quantity], script: Script, name: str, timeout_s: float
    ) -> Part:
        def ask(part: Part, status: Pending) -> None:
            number = self.triggers[which]
            self.triggers[which] += 1
            if which in self.silent:
                return
            if which in self.failing:
                status.finish(NotAnalysed(self.failing[which]))
                return
            values: Values = dict(CALM[which])
            if callable(script):
                values |= script(number)
            elif script:
                values |= script[min(number, len(script) - 1)]
            part.settle(values)
            status.finish()

        return Part(f"{name}_{which}", quantities, ask, timeout_s)
