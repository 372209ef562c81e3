"""Files with names, as they are typed: NAME=FILE."""


def name_and_file(text: str, what: str) -> tuple[str, str]:
    """Return the two parts of NAME=FILE.

    Parameters
    ----------
    text : str
        As it is typed.
    what : str
        Which it is, such as "reference".

    Raises
    ------
    ValueError
        If one is missing.
    """
    name, separator, file = text.partition("=")
    if not (separator and name and file):
        raise ValueError(f"{what} {text!r} must be NAME=FILE.xdi, NAME=FILE:eV or NAME=FILE:keV")
    return name, file
