"""A browser that looks at the page, and the page's process: what a viewer sees, and does with the mouse."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
LONGEST_S = 120.0

FIGURES = """
const found = [];
function walk(view) {
  if (!view) return;
  if (view.model && view.model.type === "Figure") found.push(view);
  for (const child of (view.child_views || [])) walk(child);
}
for (const root of Bokeh.index.roots) walk(root);
"""


class Page:
    """The page in a browser of its own.

    Parameters
    ----------
    url : str
        Of the page.
    size : tuple of int
        Of the window [px].
    """

    def __init__(self, url: str, size: tuple[int, int] = (1280, 720)) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service

        assert CHROMIUM is not None
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = Options()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_script_timeout(LONGEST_S)
        self.resize(*size)
        self.driver.get(url)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()
        self._profile.cleanup()

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def until(self, true: Callable[[], Any], what: str, timeout_s: float = LONGEST_S) -> Any:
        """Wait for something, and return what it is."""
        from selenium.common.exceptions import WebDriverException

        deadline, last = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            try:
                last = true()
            except WebDriverException as error:  # the page is not that far
                last = error.msg
            else:
                if last:
                    return last
            time.sleep(0.1)
        raise AssertionError(f"not within {timeout_s:g} s: {what}; it is {last!r}; the page says: {self.text()}")

    def text(self) -> str:
        """All that is written beside figures."""
        script = """
        const found = [];
        function walk(node) {
          if (node.shadowRoot) walk(node.shadowRoot);
          for (const child of node.children || []) {
            if (child.classList && (child.classList.contains("head") || child.classList.contains("tiles") ||
                child.classList.contains("caption"))) found.push(child.innerText);
            walk(child);
          }
        }
        walk(document.body);
        return found.join("\\n");
        """
        return str(self.run(script))

    def data(self, name: str) -> dict[str, list[Any]]:
        """The numbers that a figure draws, by the name of their source; of images their shape, and their middle row."""
        script = f"""
        const data = Bokeh.documents[0].get_model_by_name("{name}").data, found = {{}};
        const entries = data instanceof Map ? [...data.entries()] : Object.entries(data);
        for (const [key, column] of entries) {{
          const values = [...column];
          found[key] = key !== "image" ? values : values.map(image => {{
            const [rows, columns] = image.shape, middle = Math.floor(rows / 2) * columns;
            const all = [...image];
            return {{shape: [rows, columns], known: all.filter(Number.isFinite).length,
                     sum: all.filter(Number.isFinite).reduce((a, b) => a + b, 0),
                     row: all.slice(middle, middle + columns)}};
          }});
        }}
        return found;
        """
        found: dict[str, list[Any]] = self.run(script)
        return found

    def frame_of(self, number: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of the inner frame of a figure [px]: 0 the map, 1 its error, 2 the spectrum."""
        script = f"""{FIGURES}
        const figure = found[{number}], box = figure.canvas_view.el.getBoundingClientRect(), inner = figure.frame.bbox;
        return [box.left + inner.left, box.top + inner.top, inner.width, inner.height];
        """
        left, top, width, height = self.run(script)
        return left, top, width, height

    def screen(self, number: int, x: float, y: float) -> tuple[float, float]:
        """Where a point of a figure's axes is on the screen [px]."""
        script = f"""{FIGURES}
        const figure = found[{number}], box = figure.canvas_view.el.getBoundingClientRect();
        return [box.left + figure.frame.x_scale.compute({x}), box.top + figure.frame.y_scale.compute({y})];
        """
        across, down = self.run(script)
        return across, down

    def drag(self, number: int, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw with the mouse in a figure, from one point of its axes to another."""
        from selenium.webdriver.common.action_chains import ActionChains

        (x0, y0), (x1, y1) = (self.screen(number, *point) for point in (start, end))
        chain = ActionChains(self.driver)
        mouse = chain.w3c_actions.pointer_action
        mouse.move_to_location(round(x0), round(y0)).pointer_down()
        mouse.move_to_location(round((x0 + x1) / 2), round((y0 + y1) / 2)).move_to_location(round(x1), round(y1))
        mouse.pointer_up()
        chain.perform()

    def choose(self, list_class: str, text: str) -> None:
        """Choose what contains a text from a list."""
        script = f"""
        function walk(node) {{
          if (node.shadowRoot) {{ const inside = walk(node.shadowRoot); if (inside) return inside; }}
          for (const child of node.children || []) {{
            const inside = walk(child);
            if (inside) return inside;
            const host = child.tagName === "SELECT" ? child.getRootNode().host : null;
            if (host && host.classList.contains("{list_class}")) return child;
          }}
        }}
        const list = walk(document.body);
        for (const option of list.options) if (option.text.includes("{text}")) {{
          list.value = option.value; list.dispatchEvent(new Event("change")); return option.text;
        }}
        return null;
        """
        self.until(lambda: self.run(script), f"the list {list_class} has {text!r}")

    def overlapping(self) -> list[str]:
        """What of figures and texts is cut off by the window, or overlaps something else."""
        script = f"""{FIGURES}
        const boxes = found.map((figure, n) => ["figure " + n, figure.el.getBoundingClientRect()]);
        function visit(node) {{
          if (node.shadowRoot) visit(node.shadowRoot);
          for (const child of node.children || []) {{
            if (child.classList && ["head", "tile", "caption"].some(one => child.classList.contains(one)))
              boxes.push([child.innerText.slice(0, 30), child.getBoundingClientRect()]);
            if (["SELECT", "BUTTON"].includes(child.tagName))
              boxes.push([child.tagName, child.getBoundingClientRect()]);
            visit(child);
          }}
        }}
        visit(document.body);
        const wrong = [];
        boxes.forEach(([name, a], n) => {{
          if (a.width === 0) return;
          const inside = a.left >= 0 && a.top >= 0 && a.right <= innerWidth + 1 && a.bottom <= innerHeight + 1;
          if (!inside) wrong.push(name + " is cut off");
          for (const [other, b] of boxes.slice(n + 1)) {{
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (b.width > 0 && across > 1 && down > 1) wrong.push(name + " overlaps " + other);
          }}
        }});
        return wrong;
        """
        wrong: list[str] = self.run(script)
        return wrong

    def axis_labels(self) -> list[str]:
        """What stands at the axes of all figures, and over the colour bars."""
        script = f"""{FIGURES}
        return found.flatMap(figure => [...figure.model.below, ...figure.model.left].map(
          one => one.axis_label ?? one.title ?? "").filter(text => text));
        """
        labels: list[str] = self.run(script)
        return labels

    def strangers(self) -> set[str]:
        """Hosts other than this machine that the page has asked for something."""
        import json
        from urllib.parse import urlsplit

        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [
            one["params"].get("request", {}).get("url", "")
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]
        hosts = {urlsplit(url).hostname for url in urls if url.startswith(("http", "ws"))}
        return {host for host in hosts if host not in (None, "127.0.0.1", "localhost")}

    def errors(self) -> list[str]:
        """What went wrong in the browser."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def keep(self, name: str) -> Path:
        """Keep a picture of the page under out/, to be looked at."""
        folder = Path(__file__).resolve().parents[2] / "out" / "page"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.driver.save_screenshot(str(path))
        return path


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Run `whiteline live` on a free port, and yield the address of the page."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    program = "from whiteline.beamline.cli import main; main()"
    command = [sys.executable, "-c", program, "live", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = process.stdout.readline()
            assert "page at http://" in told, told
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(LONGEST_S)
