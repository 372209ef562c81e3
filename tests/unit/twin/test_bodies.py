"""The thickness of a body is exact at any rotation: held against rays followed through it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from whiteline.sim.bodies import Body, Ellipsoid, projected

axis = st.floats(0.3, 3.0)


def followed(body: Ellipsoid, rotation_deg: float, x: float, y: float) -> float:
    """Length inside an ellipsoid along a ray in z, by stepping along the ray in the frame of the sample."""
    z = np.linspace(-8, 8, 160_001)
    rays = np.stack([np.full(z.shape, x), np.full(z.shape, y), z], axis=1)
    inside_sample = Rotation.from_euler("y", rotation_deg, degrees=True).inv().apply(rays)
    own = Rotation.from_quat(body.quaternion).inv().apply(inside_sample - body.centre)
    return float(np.count_nonzero(np.sum((own / body.semi_axes) ** 2, axis=1) <= 1) * (z[1] - z[0]))


@given(
    st.tuples(axis, axis, axis),
    st.tuples(*[st.floats(-1, 1)] * 3),
    st.floats(0, 360),
    st.integers(0, 2**31),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_thickness_of_an_ellipsoid(
    axes: tuple[float, float, float],
    centre: tuple[float, float, float],
    rotation: float,
    seed: int,
    x: float,
    y: float,
) -> None:
    quaternion = tuple(float(part) for part in Rotation.random(rng=np.random.default_rng(seed)).as_quat())
    body = Ellipsoid(centre, axes, quaternion)  # type: ignore[arg-type]
    shadow = body.shadow(rotation)
    grid_x, grid_y = np.array([x - 1e-3, x], np.float32), np.array([y - 1e-3, y], np.float32)
    thickness = projected([(shadow, 1.0)], grid_x, grid_y)[1, 1]
    # near its rim a float32 position is too coarse to tell a short ray from none: the length falls as a root there
    assert thickness == pytest.approx(followed(body, rotation, x, y), abs=0.02)


def test_the_volume_is_kept_at_every_rotation() -> None:
    body = Ellipsoid((0.5, -0.3, 0.2), (0.6, 1.1, 1.7), (0.1, 0.2, 0.3, 0.927))
    grid = np.arange(-4, 4, 0.02).astype(np.float32)
    for rotation in (0.0, 35.0, 90.0, 180.0):
        volume = projected([(body.shadow(rotation), 1.0)], grid, grid).sum(dtype=float) * 0.02**2
        assert volume == pytest.approx(4 / 3 * np.pi * 0.6 * 1.1 * 1.7, rel=1e-4)


def test_a_core_is_the_same_body_shrunk() -> None:
    body = Ellipsoid((0.5, -0.3, 0.2), (0.6, 1.1, 1.7))
    small = Ellipsoid((0.5, -0.3, 0.2), (0.3, 0.55, 0.85))
    shrunk, drawn = body.shadow(20.0).scaled(0.5), small.shadow(20.0)
    assert [shrunk.qxx, shrunk.qxy, shrunk.qyy, shrunk.depth] == pytest.approx(
        [drawn.qxx, drawn.qxy, drawn.qyy, drawn.depth]
    )


@pytest.mark.parametrize(
    ("shell", "core", "size", "words"),
    [
        ({"a": 1.2}, {}, 0.5, "share 1.2 of a"),
        ({"a": 0.7, "b": 0.7}, {}, 0.5, "must not add up to more than 1"),
        ({"a": 1.0}, {"b": 1.0}, 1.0, "core size 1"),
    ],
)
def test_a_body_that_cannot_be(shell: dict[str, float], core: dict[str, float], size: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Body(Ellipsoid((0, 0, 0), (1, 1, 1)), shell, core, size)
