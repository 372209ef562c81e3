"""What every table of a description has in common."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from whiteline.analysis.checks import require_energy
from whiteline.analysis.tables import require_element


def _formula(formula: str) -> str:
    parts = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", formula)
    if not formula or "".join(symbol + count for symbol, count in parts) != formula:
        raise ValueError("is no chemical formula; write it as LiNi0.8Mn0.1Co0.1O2")
    for symbol, _ in parts:
        require_element(symbol)
    return formula


def elements_of(formula: str) -> tuple[str, ...]:
    """Return the symbols of the elements in a formula that was checked."""
    return tuple(re.findall(r"[A-Z][a-z]?", formula))


def _absolute(value: float) -> float:
    require_energy(value)
    return value


Energy = Annotated[FiniteFloat, AfterValidator(_absolute)]
"""An absolute photon energy [eV]."""

Formula = Annotated[str, AfterValidator(_formula)]
"""A chemical formula without brackets."""

Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(gt=0, le=1)]
Count = Annotated[int, Field(gt=0)]

PV = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:{}\[\]<>;.-]+$")]
"""The name of a process variable, or the beginning of several."""

DottedClass = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""A class of the site's own, as "package.module:Class"."""


class Table(BaseModel):
    """A table of the description: frozen, and without keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class Device(Table):
    """A table that a device is built from; `class` names one of the site's own that satisfies the same protocol."""

    site_class: DottedClass | None = Field(default=None, alias="class")
