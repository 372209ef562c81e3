"""Analytic bodies: ellipsoids with a core, and the length of a ray through them at any rotation.

A point is inside if (r − c)ᵀ A (r − c) ≤ 1. Along a ray in z the inside is an interval whose length follows from the
quadratic: with the Schur complement Q of A_zz in A, length = (2/√A_zz) √(1 − dᵀ Q d), d being the distance of the ray
from the centre in (x, y). So a projection is exact, at any magnification, and costs a square root per pixel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Shadow:
    """An ellipsoid as seen along the beam: the ellipse that it covers, and its thickness in the middle [µm].

    The thickness at distance (dx, dy) from the centre is `depth` · √(1 − qxx dx² − 2 qxy dx dy − qyy dy²).
    """

    x: float
    y: float
    qxx: float
    qxy: float
    qyy: float
    depth: float

    @cached_property
    def half_width(self) -> float:
        """Half of the width of the ellipse in x [µm]."""
        return float(np.sqrt(self.qyy / (self.qxx * self.qyy - self.qxy**2)))

    @cached_property
    def half_height(self) -> float:
        """Half of the height of the ellipse in y [µm]."""
        return float(np.sqrt(self.qxx / (self.qxx * self.qyy - self.qxy**2)))

    def scaled(self, size: float) -> "Shadow":
        """Return the shadow of the same ellipsoid shrunk about its centre by a factor `size`."""
        square = size**2
        return Shadow(self.x, self.y, self.qxx / square, self.qxy / square, self.qyy / square, self.depth * size)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid.

    Parameters
    ----------
    centre : tuple of float
        (x, y, z) [µm]: x horizontal, y up, z along the beam.
    semi_axes : tuple of float
        Along its own axes [µm].
    quaternion : tuple of float
        Its orientation, scalar last; (0, 0, 0, 1) is not turned.
    """

    centre: tuple[float, float, float]
    semi_axes: tuple[float, float, float]
    quaternion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def shadow(self, rotation_deg: float = 0.0) -> Shadow:
        """Return what the beam sees of it with the sample turned about the vertical axis [deg]."""
        turn = Rotation.from_euler("y", rotation_deg, degrees=True)
        axes = (turn * Rotation.from_quat(self.quaternion)).as_matrix()
        x, y, _ = turn.apply(self.centre)
        a = axes @ np.diag(1 / np.square(self.semi_axes)) @ axes.T
        q = a[:2, :2] - np.outer(a[:2, 2], a[:2, 2]) / a[2, 2]
        return Shadow(float(x), float(y), float(q[0, 0]), float(q[0, 1]), float(q[1, 1]), float(2 / np.sqrt(a[2, 2])))


@dataclass(frozen=True)
class Body:
    """A particle: an ellipsoidal shell around a core of the same shape.

    Parameters
    ----------
    outline : Ellipsoid
        Its surface.
    shell, core : mapping of str to float
        What they are made of: name of a species to its share of the volume.
    core_size : float
        Size of the core relative to the whole, from 0 (none) to 1.
    """

    outline: Ellipsoid
    shell: Mapping[str, float]
    core: Mapping[str, float]
    core_size: float

    def __post_init__(self) -> None:
        if not 0 <= self.core_size < 1:
            raise ValueError(f"core size {self.core_size:g} of a body must lie from 0 to below 1")
        for name, share in (*self.shell.items(), *self.core.items()):
            if not 0 <= share <= 1:
                raise ValueError(f"share {share:g} of {name} in a body must lie between 0 and 1")
        if any(sum(part.values()) > 1 + 1e-9 for part in (self.shell, self.core)):
            raise ValueError("the shares of a shell or a core must not add up to more than 1")


def projected(
    layers: Iterable[tuple[Shadow, float]], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the sum of shadows, each times its weight.

    Parameters
    ----------
    layers : iterable of (Shadow, float)
        What the beam sees of ellipsoids, and what a micrometre of each adds.
    x : ndarray of float32, shape (columns,)
        Position of the columns, ascending [µm].
    y : ndarray of float32, shape (rows,)
        Position of the rows, ascending [µm].

    Returns
    -------
    ndarray of float32, shape (rows, columns)
    """
    image = np.zeros((y.size, x.size), np.float32)
    lowest, highest = float(y[0]), float(y[-1])
    for shadow, weight in layers:
        if shadow.y + shadow.half_height < lowest or shadow.y - shadow.half_height > highest:
            continue
        top, bottom = np.searchsorted(y, (shadow.y - shadow.half_height, shadow.y + shadow.half_height))
        left, right = np.searchsorted(x, (shadow.x - shadow.half_width, shadow.x + shadow.half_width))
        dx, dy = x[left:right] - np.float32(shadow.x), y[top:bottom, None] - np.float32(shadow.y)
        # 1 − qyy dy² − dx (qxx dx + 2 qxy dy), in as few passes over the pixels as there can be
        square = np.float32(2 * shadow.qxy) * dy + np.float32(shadow.qxx) * dx
        square *= -dx
        square += 1 - np.float32(shadow.qyy) * dy * dy
        np.maximum(square, 0, out=square)
        np.sqrt(square, out=square)
        square *= np.float32(weight * shadow.depth)
        image[top:bottom, left:right] += square
    return image
