"""What can be typed after `whiteline`: a command a file."""

import typer

from whiteline.beamline.cli.check import check
from whiteline.beamline.cli.demonstrate import demonstrate
from whiteline.beamline.cli.export import export
from whiteline.beamline.cli.live import live
from whiteline.beamline.cli.maps import maps
from whiteline.beamline.cli.plans import plans
from whiteline.beamline.cli.runs import runs
from whiteline.beamline.cli.score import score
from whiteline.beamline.cli.shell import shell
from whiteline.beamline.cli.simulate import simulate

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def whiteline() -> None:
    """Control and acquisition for X-ray spectromicroscopes."""


app.command("check")(check)
app.command("demo")(demonstrate)
# so that -1 is a run, and no option
app.command("export", context_settings={"ignore_unknown_options": True})(export)
app.command("live")(live)
app.command("maps", context_settings={"ignore_unknown_options": True})(maps)
app.command("plans")(plans)
app.command("runs")(runs)
app.command("sim")(simulate)
app.command("score", context_settings={"ignore_unknown_options": True})(score)
app.command("shell")(shell)
