"""What can be typed after `whiteline`: a command a file."""

import typer

from whiteline.beamline.cli.check import check
from whiteline.beamline.cli.demonstrate import demonstrate
from whiteline.beamline.cli.simulate import simulate

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def whiteline() -> None:
    """Control and acquisition for X-ray spectromicroscopes."""


app.command("check")(check)
app.command("demo")(demonstrate)
app.command("sim")(simulate)
