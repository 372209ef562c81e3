"""The house itself: the wheel is whole, imports do nothing, and the README says what the gate runs."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
names = sorted(
    module.name
    for package in ("whiteline.analysis", "whiteline.devices", "whiteline.plans", "whiteline.sim", "whiteline.beamline")
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
)
names.remove("whiteline.beamline.simulation.pytest_plugin")  # pytest imports it, and brings itself along
names = [name for name in names if ".startup." not in name]  # these run one after the other, in one namespace
for name in names:
    importlib.import_module(name)
import whiteline.beamline.description as description
from importlib.metadata import version
from importlib.resources import files
for name in description.SHIPPED:
    description.load(name)
for package in ("analysis", "devices", "plans", "sim", "beamline"):
    assert files(f"whiteline.{package}").joinpath("py.typed").is_file(), package
    assert "site-packages" in str(files(f"whiteline.{package}")), package
for name in ("00-description.py", "10-session.py", "20-plans.py", "30-prompt.py", "user_group_permissions.yaml"):
    assert files("whiteline.beamline.startup").joinpath(name).is_file(), name
print(version("whiteline"), *names)
"""

LIGHT = (
    "analysis.laws.bragg", "analysis.laws.undulator", "analysis.tables", "analysis.calibration", "analysis.energies",
    "analysis.deadtime", "analysis.dose", "analysis.spectrum_files", "sim.full_field", "sim.nanoprobe", "sim.truth",
)  # fmt: skip
HEAVY = (
    "xraydb",
    "h5py",
    "numba",
    "matplotlib",
    "bluesky",
    "ophyd",
    "epics",
    "caproto",
    "databroker",
    "tiled",
    "pandas",
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, built from a copy, so that no stale build folder can add to it."""
    root = Path(__file__).resolve().parents[2]
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file() and not name.startswith(".typing"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((root / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)], check=True, capture_output=True
    )
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_data_file(wheel: Path, root: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    folders = {"analysis": "analysis", "devices": "devices", "plans": "plans", "sim": "sim",
               "profile/beamline": "beamline", "profile/startup": "beamline/startup"}  # fmt: skip
    wanted = {
        f"whiteline/{package}/{path.relative_to(root / folder).as_posix()}"
        for folder, package in folders.items()
        for path in (root / folder).rglob("*")
        if path.suffix in {".py", ".toml"} or path.name == "py.typed"
    }
    assert wanted <= inside, sorted(wanted - inside)
    extra = {name for name in inside if not name.startswith("whiteline/") and ".dist-info/" not in name}
    assert not extra
    assert "whiteline/__init__.py" not in inside


def test_the_wheel_works_in_an_empty_environment_elsewhere(wheel: Path, root: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--constraint", root / "constraints.txt", f"{wheel}[live,scale]"],
        check=True, cwd=tmp_path, env=environment, capture_output=True,
    )  # fmt: skip
    done = subprocess.run(
        [python, "-c", IMPORT_EVERYTHING], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "whiteline.sim.full_field" in done.stdout.split()
    told = subprocess.run(
        [tmp_path / "venv" / "bin" / "whiteline", "--help"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "demo" in told.stdout


def test_imports_load_nothing_heavy_and_print_nothing() -> None:
    code = "import sys\n" + "".join(f"import whiteline.{name}\n" for name in LIGHT)
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_every_package_is_listed(root: Path) -> None:
    setup = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    mapping = setup["package-dir"]

    def folder(package: str) -> Path:
        for prefix in sorted(mapping, key=len, reverse=True):
            if package == prefix or package.startswith(prefix + "."):
                return root / mapping[prefix] / package[len(prefix) + 1 :].replace(".", "/")
        raise AssertionError(package)

    listed = {folder(package) for package in setup["packages"]}
    found = {
        path.parent for top in ("analysis", "devices", "plans", "sim", "profile") for path in (root / top).rglob("*.py")
    }
    assert found == listed


def test_the_tested_versions_name_every_dependency(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.match(r"[\w.-]+", one)[0].lower().replace("_", "-") for one in wanted}  # type: ignore[index]
    lines = (root / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert names <= pinned, names - pinned


def test_the_gate_runs_what_the_readme_says(root: Path) -> None:
    gate = re.findall(r"^clean (make \w+)$", (root / ".ci" / "run").read_text(), re.MULTILINE)
    readme = (root / "README.md").read_text()
    assert gate == ["make demo", "make peers", "make test"]
    for command in gate:
        assert re.search(rf"^{command}\b", readme, re.MULTILINE), command


def test_the_examples_of_the_readme_run(root: Path) -> None:
    readme = (root / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    examples = [one for one in blocks if not one.startswith("RE(")]  # which needs a session
    assert len(examples) == 3
    energies, focus, frame = (
        subprocess.run([sys.executable, "-c", code + end], capture_output=True, text=True, check=True).stdout
        for code, end in zip(examples, ("", "", "print(frame.shape, fraction.shape)"), strict=True)
    )
    assert "61 energies" in energies
    assert [float(line) for line in focus.split()] == pytest.approx([50.712, 2.05], abs=0.005)
    assert frame == "(512, 512) (2, 512, 512)\n"


def test_the_first_startup_file_runs(root: Path) -> None:
    first = root / "profile" / "startup" / "00-description.py"
    assert runpy.run_path(str(first))["beamline"].kind in {"full-field", "scanning"}


def test_profile_is_no_package_that_would_hide_the_standard_library(root: Path) -> None:
    assert not (root / "profile" / "__init__.py").exists()
