"""How the page looks: quiet, dense, and readable from two metres."""

INK, FAINT, LINE, PAPER = "#1d2329", "#5c6670", "#d9dde1", "#fbfbfa"
MISSING = "#9aa0a6"
"""Grey of pixels of which nothing is known: no colour of the maps."""

BLUE, ORANGE, ALARM = "#1f6fb4", "#c8501e", "#b3261e"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
TEXT_PX, TITLE_PX = "13px", "14px"

PAGE = f"""
html, body {{ background: {PAPER}; color: {INK}; font-family: {FONT}; margin: 0; height: 100%; overflow: hidden; }}
@media (max-width: 1100px), (max-height: 600px) {{ body {{ overflow: auto; }} }}
"""

TILES = f"""
:host {{ display: block; }}
.tiles {{ display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); gap: 10px; font-family: {FONT}; }}
.tile {{ border-top: 2px solid {LINE}; padding-top: 4px; min-width: 0; position: relative; color: {INK}; }}
.tile .part {{ position: absolute; top: -2px; left: 0; height: 2px; background: {BLUE}; }}
.tile .title {{ font-size: clamp(12px, 0.85vw, 16px); color: {FAINT}; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }}
.tile .value {{ font-size: clamp(20px, 1.7vw, 34px); font-weight: 600; line-height: 1.25; white-space: nowrap;
  font-variant-numeric: tabular-nums; overflow: hidden; text-overflow: ellipsis; }}
.tile .beside {{ font-size: clamp(12px, 0.8vw, 15px); color: {FAINT}; line-height: 1.25; height: 2.5em;
  overflow: hidden; font-variant-numeric: tabular-nums; display: -webkit-box; -webkit-line-clamp: 2;
  -webkit-box-orient: vertical; }}
.tile.alarm .value, .tile.alarm .beside {{ color: {ALARM}; }}
"""

HEAD = f"""
:host {{ display: block; }}
.head {{ font-family: {FONT}; color: {INK}; line-height: 1.3; }}
.head .run {{ font-size: clamp(17px, 1.35vw, 26px); font-weight: 600; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }}
.head .below {{ font-size: clamp(12px, 0.8vw, 15px); color: {FAINT}; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }}
.head .alarm {{ color: {ALARM}; }}
"""

CAPTION = f"""
:host {{ display: block; }}
.caption {{ font-family: {FONT}; font-size: clamp(13px, 0.9vw, 17px); color: {INK}; line-height: 1.3;
  overflow: hidden; font-variant-numeric: tabular-nums; }}
.caption.lines2 {{ height: 2.6em; }}
.caption.lines4 {{ height: 5.2em; }}
.caption .part {{ color: {FAINT}; display: inline-block; margin-right: 1em; }}
.caption .fit {{ color: {ORANGE}; }}
.caption .edge {{ color: {BLUE}; }}
.caption b {{ font-weight: 600; }}
"""

SELECT = f"""
.bk-input {{ font-family: {FONT}; font-size: clamp(12px, 0.85vw, 16px); height: 30px; padding: 2px 24px 2px 8px;
  border-color: {LINE}; color: {INK}; background-color: {PAPER}; }}
.bk-btn {{ font-family: {FONT}; font-size: clamp(12px, 0.85vw, 16px) !important; height: 30px; padding: 2px 10px; }}
"""
