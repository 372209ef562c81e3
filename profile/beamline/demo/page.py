"""The page of a demonstration: one HTML file with its picture, its score and where everything is; nothing is loaded."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from whiteline.beamline.score.card import ScoreCard

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1200px; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 1.8rem; }
img { width: 100%; height: auto; border: 1px solid #ddd; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 0.2rem 1.2rem 0.2rem 0; vertical-align: top; }
th { border-bottom: 1px solid #999; font-weight: 600; } tr.missed td { color: #b00020; font-weight: 600; }
pre, code { font: 13px/1.4 ui-monospace, monospace; } pre { background: #f5f5f5; padding: 0.8rem; overflow-x: auto; }
"""


def write_page(
    path: Path, title: str, said: Sequence[str], card: ScoreCard, picture: Path, preflight: str, files: Sequence[Path]
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        Of the HTML file.
    title : str
        In a line.
    said : sequence of str
        Paragraphs beneath it.
    card : ScoreCard
        The score.
    picture : Path
        A PNG, which is put into the page itself.
    preflight : str
        What was predicted.
    files : sequence of Path
        What else was made.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    image = base64.b64encode(picture.read_bytes()).decode()
    rows = "\n".join(
        f'<tr class="{"met" if line.met else "missed"}"><td>{escape(line.quantity)}</td><td>{escape(line.value)}</td>'
        f"<td>{escape(line.limit)}</td><td>{'yes' if line.met else 'NO'}</td></tr>"
        for line in card.lines
    )
    listed = "\n".join(f"<li><code>{escape(str(one))}</code></li>" for one in files)
    paragraphs = "\n".join(f"<p>{escape(one)}</p>" for one in said)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>
<body><h1>{escape(title)}</h1>
{paragraphs}
<h2>Score against the truth of the twin</h2>
<table><tr><th>quantity</th><th>value</th><th>limit</th><th>met</th></tr>
{rows}
</table>
<h2>Maps, spectra, focus and drift</h2>
<img alt="maps with their errors, the truth, the difference, spectra, focus and drift"
 src="data:image/png;base64,{image}">
<h2>What was predicted before the scan</h2>
<pre>{escape(preflight)}</pre>
<h2>Files</h2>
<ul>
{listed}
</ul></body></html>
""",
        encoding="utf-8",
    )
