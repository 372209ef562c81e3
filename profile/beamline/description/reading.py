"""Read a description from its file; an error names file, table, key, value, and what was expected."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from whiteline.beamline.description.beamline import Beamline

SHIPPED = ("txm", "nanoprobe")
"""Names of the descriptions that come with whiteline; both are simulated."""

ENVIRONMENT = "WHITELINE_BEAMLINE"
"""Environment variable that names the description to use: a file, or one that is shipped."""


class DescriptionError(ValueError):
    """A description that cannot be used; the message has one sentence for each thing that is wrong."""


def load(beamline: str | Path | None = None, environment: Mapping[str, str] | None = None) -> Beamline:
    """Read the description of a beamline.

    Parameters
    ----------
    beamline : str, Path or None
        A file, or the name of a description that is shipped ("txm", "nanoprobe").
    environment : mapping or None
        Where `WHITELINE_BEAMLINE` is looked up if no beamline is given, that of the process if None; "txm" if it is not
        there either.

    Raises
    ------
    DescriptionError
        If there is no such file, it is no TOML, or what it says is not possible.
    """
    chosen = str(beamline or (os.environ if environment is None else environment).get(ENVIRONMENT) or SHIPPED[0])
    if chosen in SHIPPED:
        text, name = files(__package__).joinpath(f"{chosen}.toml").read_text(encoding="utf-8"), f"{chosen}.toml"
        return parse(text, name)
    path = Path(chosen).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        hint = f"give a file, or one of {', '.join(SHIPPED)}"
        raise DescriptionError(f"description {path} cannot be read: {reason.lower()}; {hint}") from error
    return parse(text, str(path), path.parent)


def parse(text: str, name: str, folder: Path | None = None) -> Beamline:
    """Read a description from text.

    Parameters
    ----------
    text : str
        TOML.
    name : str
        What the file is called in messages.
    folder : Path or None
        What paths of spectra in it are relative to; as they stand if None.

    Raises
    ------
    DescriptionError
        If the text is no TOML, or what it says is not possible.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{name} is no TOML: {error}") from error
    _resolve_spectra(content, folder or Path())
    try:
        return Beamline.model_validate(content)
    except ValidationError as error:
        raise DescriptionError("\n".join(sentences(name, error, content))) from error


def sentences(name: str, error: ValidationError, content: Any) -> list[str]:
    """Say what is wrong with a description, a sentence for each mistake.

    Parameters
    ----------
    name : str
        What the file is called.
    error : ValidationError
        What pydantic found.
    content : dict
        What the file says.
    """
    problems: list[dict[str, Any]] = [dict(problem) for problem in error.errors(include_url=False)]
    # One mistake is said once: a table is wrong because a key in it is, and a key is missing because it is misspelt.
    places = [problem["loc"] for problem in problems]
    misspelt = {
        (*problem["loc"][:-1], _closest(problem["loc"])) for problem in problems if problem["type"] == "extra_forbidden"
    }
    return [
        _sentence(name, problem, content)
        for problem in problems
        if not (problem["type"] == "missing" and problem["loc"] in misspelt)
        and not any(place != problem["loc"] and place[: len(problem["loc"])] == problem["loc"] for place in places)
    ]


def _resolve_spectra(content: dict[str, Any], folder: Path) -> None:
    """Make the spectrum files of the species relative to the description, not to where the program was started."""
    simulation = content.get("simulation")
    species = simulation.get("species") if isinstance(simulation, dict) else None
    for one in species if isinstance(species, list) else ():
        if isinstance(one, dict) and isinstance(one.get("file"), str):
            one["file"] = folder / Path(one["file"]).expanduser()


def _sentence(name: str, problem: dict[str, Any], content: Any) -> str:
    """Say one problem of a description: file, table, key, value, and what was expected."""
    location: list[str | int] = [part for part in problem["loc"] if _is_in_file(part)]
    kind, message = problem["type"], problem["msg"]
    if kind == "value_error" and _is_table(content, location):
        return f"{name}: {_table(location)}{message.removeprefix('Value error, ')}"
    *path, key = location or [""]
    where = f"{name}: {_table(path)}"
    if kind == "extra_forbidden":
        close = _closest(problem["loc"])
        return f"{where}unknown key {key!r}; " + (
            f"did you mean {close!r}?" if close else f"keys are {', '.join(_keys(path))}"
        )
    if kind == "missing":
        return f"{where}key {key!r} is missing"
    if isinstance(key, int):
        where, key = f"{name}: {_table(path[:-1])}", f"{path[-1]} entry {key + 1}"
    expected = message.removeprefix("Value error, ").replace("Input should be", "must be").replace("Input", "it")
    expected = expected[0].lower() + expected[1:]
    return f"{where}{key} = {problem['input']!r}: {expected}"


def _is_in_file(part: str | int) -> bool:
    """Return whether a part of pydantic's location is a key of the file, not the name of a type in a union."""
    return isinstance(part, int) or ("[" not in part and part not in {"float", "int", "str", "literal"})


def _is_table(content: Any, location: Sequence[str | int]) -> bool:
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(content, dict)


def _table(path: Sequence[str | int]) -> str:
    if not path:
        return ""
    words = [f"entry {part + 1}" if isinstance(part, int) else part for part in path]
    dotted = ".".join(word for word in words if not word.startswith("entry"))
    entries = ", ".join(word for word in words if word.startswith("entry"))
    return f"[{dotted}]{f' {entries}' if entries else ''} "


def _closest(location: Sequence[str | int]) -> str | None:
    """Return the key that a misspelt one at a location is likely to stand for."""
    *path, key = location
    return next(iter(get_close_matches(str(key), _keys(path), n=1)), None)


def _keys(path: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at a path may have."""
    annotation: Any = Beamline
    for part in path:
        if isinstance(part, int):
            continue
        model = _model(annotation)
        # a table of tables by name, such as the counters', has keys of the writer's own choice
        annotation = model.model_fields[part].annotation if model and part in model.model_fields else annotation
    model = _model(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the table within an annotation such as `tuple[SpeciesTable, ...]` or `Camera | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
