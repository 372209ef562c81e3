"""Why there are no plots of counts is told, with what can be done."""

import importlib.util
from types import SimpleNamespace

import pytest

from whiteline.beamline.prompt import counts


@pytest.fixture(params=["DISPLAY", "WAYLAND_DISPLAY"])
def display(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(request.param, ":0")


def found(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let only these bindings of Qt be installed."""
    monkeypatch.setattr(counts, "find_spec", lambda name: importlib.util.find_spec("os") if name in names else None)


def test_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    found(monkeypatch, "PyQt6")
    assert "no display" in str(counts.why_no_plots())


@pytest.mark.usefixtures("display")
def test_with_a_display_and_without_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    assert "pip install PyQt6" in str(counts.why_no_plots())


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("binding", counts.QT)
def test_with_both(binding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, binding)
    assert counts.why_no_plots() is None


@pytest.mark.usefixtures("display")
def test_a_display_that_does_not_answer_takes_only_the_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, "PyQt6")

    def refuse(name: str, line: str) -> None:
        raise ImportError("Cannot load backend 'qtagg' which requires the 'qt' interactive framework")

    callback, why = counts.best_effort(SimpleNamespace(run_line_magic=refuse))
    assert "does not answer" in str(why)
    assert not callback._plots_enabled
