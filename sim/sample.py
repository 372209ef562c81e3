"""The sample: bodies made of species, seen along the beam."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from whiteline.sim.bodies import Body, Ellipsoid, Shadow, projected
from whiteline.sim.noise import Stream, generator, stream
from whiteline.sim.species import Species

MOST_ROTATIONS_KEPT = 8
"""Shadows are worked out once for a rotation and kept; a tomography must not keep them all."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Bodies made of species.

    Parameters
    ----------
    bodies : tuple of Body
        They must not overlap.
    species : tuple of Species
        What the bodies are made of.

    Raises
    ------
    ValueError
        If two species have one name, or a body is made of one that there is not.
    """

    bodies: tuple[Body, ...]
    species: tuple[Species, ...]

    def __post_init__(self) -> None:
        names = [one.name for one in self.species]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two species are named {name!r}; a name stands for one")
        for body in self.bodies:
            if missing := (set(body.shell) | set(body.core)) - set(names):
                raise ValueError(f"a body is made of {sorted(missing)[0]!r}; species are {', '.join(names)}")

    @cached_property
    def _shadows(self) -> dict[float, tuple[tuple[Body, Shadow], ...]]:
        return {}

    def shadows(self, rotation_deg: float = 0.0) -> tuple[tuple[Body, Shadow], ...]:
        """Return each body with what the beam sees of it, the sample turned about the vertical axis [deg]."""
        shadows = self._shadows.get(rotation_deg)
        if shadows is None:
            shadows = tuple((body, body.outline.shadow(rotation_deg)) for body in self.bodies)
            if len(self._shadows) >= MOST_ROTATIONS_KEPT:
                self._shadows.clear()
            self._shadows[rotation_deg] = shadows
        return shadows

    def layers(self, weights: Sequence[float], rotation_deg: float = 0.0) -> list[tuple[Shadow, float]]:
        """Return what adds up to the sum over the species of weight times thickness: shadows, each with its weight.

        Parameters
        ----------
        weights : sequence of float
            One for each species [per µm]. With attenuations the sum is the optical density; with 1 for one species and
            0 for the others it is the thickness of that one.
        rotation_deg : float
            Turn of the sample about the vertical axis [deg].
        """
        by_name = dict(zip((one.name for one in self.species), weights, strict=True))
        layers = []
        for body, shadow in self.shadows(rotation_deg):
            shell = sum(by_name[name] * share for name, share in body.shell.items())
            core = sum(by_name[name] * share for name, share in body.core.items())
            layers.append((shadow, shell))
            if body.core_size:
                layers.append((shadow.scaled(body.core_size), core - shell))
        return [(shadow, weight) for shadow, weight in layers if weight]

    def thickness(
        self, x: NDArray[np.float32], y: NDArray[np.float32], rotation_deg: float = 0.0
    ) -> NDArray[np.float32]:
        """Return the thickness maps of the species [µm], shape (species, rows, columns)."""
        one_each = np.eye(len(self.species)).tolist()
        return np.stack([projected(self.layers(weights, rotation_deg), x, y) for weights in one_each])

    def attenuations(self, energy: float) -> tuple[float, ...]:
        """Return the attenuation of each species at an energy [eV] [1/µm]."""
        return tuple(one.absorption(energy) for one in self.species)


SMALLEST = 0.3
"""To what share of their size particles may shrink while room is found for none."""

CLOSEST_PACKING = np.pi / (2 * np.sqrt(3))
"""Share of a plane that circles can cover at most."""


def particles(
    species: Sequence[Species],
    *,
    count: int,
    field_um: float,
    radius_um: tuple[float, float],
    core_size: tuple[float, float],
    seed: int,
    blank: float = 0.15,
) -> Sample:
    """Lay out particles that do not overlap, as in a thin electrode: charged from the surface inwards.

    The shell of each is rich in the first species and its core in the last, by shares that differ from particle to
    particle. A strip at the left of the field stays blank: there is the incident beam to be seen.

    Parameters
    ----------
    species : sequence of Species
        At least two.
    count : int
        How many particles.
    field_um : float
        Side of the square that they lie in, around the origin [µm].
    radius_um : tuple of float
        Range of their semi-axes [µm].
    core_size : tuple of float
        Range of the size of the core, relative to the particle.
    seed : int
        Of the layout.
    blank : float
        Share of the field that stays blank.

    Raises
    ------
    ValueError
        If there are fewer than two species, or the particles do not fit.
    """
    if len(species) < 2:
        raise ValueError(f"a sample needs at least two species, not {len(species)}")
    crowded = ValueError(
        f"{count} particles of {radius_um[0]:g} to {radius_um[1]:g} µm do not fit into {field_um:g} µm; "
        "take fewer, smaller, or a larger field"
    )
    # Not even the smallest of them fit, as closely as circles can be packed: then nobody needs to wait for the search.
    if count * np.pi * (SMALLEST * radius_um[0]) ** 2 > CLOSEST_PACKING * (1 - blank) * field_um**2:
        raise crowded
    source = generator(stream(seed, Stream.LAYOUT))
    names = [one.name for one in species]
    bodies: list[Body] = []
    spheres: list[tuple[NDArray[np.float64], float]] = []
    for attempt in range(2000 * count):
        if len(bodies) == count:
            break
        # Large ones first, and smaller while room is found for none: so a dense layout still succeeds.
        shrink = 1 - (1 - SMALLEST) * attempt / (2000 * count)
        axes = source.uniform(*radius_um, size=3) * shrink
        reach = float(axes.max())
        low = np.array([-0.5 + blank, -0.5, -0.05]) * field_um + reach
        high = np.array([0.5, 0.5, 0.05]) * field_um - reach
        low[2], high[2] = min(low[2], 0), max(high[2], 0)
        if (low > high).any():
            continue
        centre = source.uniform(low, high)
        # kept apart in projection, so that each pixel belongs to one particle at least at 0°
        if any(np.hypot(*(centre - other)[:2]) < reach + size for other, size in spheres):
            continue
        spheres.append((centre, reach))
        outer, inner = source.uniform(0.55, 0.95), source.uniform(0.05, 0.45)
        quaternion = tuple(float(part) for part in Rotation.random(rng=source).as_quat())
        bodies.append(
            Body(
                outline=Ellipsoid(
                    (float(centre[0]), float(centre[1]), float(centre[2])),
                    (float(axes[0]), float(axes[1]), float(axes[2])),
                    (quaternion[0], quaternion[1], quaternion[2], quaternion[3]),
                ),
                shell=_mixture(names, outer, source),
                core=_mixture(names, inner, source),
                core_size=float(source.uniform(*core_size)),
            )
        )
    if len(bodies) < count:
        raise crowded
    return Sample(tuple(bodies), tuple(species))


def _mixture(names: Sequence[str], first: float, source: np.random.Generator) -> dict[str, float]:
    """Return shares that add up to 1: that of the first species is given, the others divide the rest."""
    rest = source.dirichlet(np.ones(len(names) - 1)) * (1 - first)
    return {names[0]: first} | {name: float(share) for name, share in zip(names[1:], rest, strict=True)}
