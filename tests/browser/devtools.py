"""Headless Chromium, asked over its DevTools pipe: no port, no driver and no network."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""An answer, or a page, that has not come after that will not."""

FLAGS = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's is small
    "--no-first-run",
    "--remote-debugging-pipe",
    # Whatever a page names, nothing is asked for it.
    "--proxy-server=127.0.0.1:9",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

# Descriptors 3 and 4 are where Chromium looks for the pipe, whatever they were here.
_START = """
import os, sys, fcntl
ends = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 10) for number in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execvp(sys.argv[3], sys.argv[3:])
"""

_COLOURS = """
async (png, places) => {
  const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const paper = canvas.getContext("2d");
  paper.drawImage(picture, 0, 0);
  return places.map(([x, y]) => [...paper.getImageData(x, y, 1, 1).data.slice(0, 3)]);
}
"""


class Page:
    """A tab."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        target = browser.ask("Target.createTarget", url=url)["targetId"]
        self._session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)

    def ask(self, method: str, **given: Any) -> Any:
        """A DevTools method of this tab."""
        return self._browser.ask(method, self._session["sessionId"], **given)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        told = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(expression):
            assert time.monotonic() < end, f"not within {SECONDS:.0f} s: {expression}"
            time.sleep(0.05)

    def look(self, width: int, height: int, dark: bool = False, medium: str = "screen") -> None:
        """How large the window is, and what the reader prefers."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=medium, features=[scheme])

    def colours(self, places: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
        """Red, green and blue of pixels of the page as it is drawn now."""
        png = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        # In a tab of its own: the page's own rules let no picture in.
        other = Page(self._browser, "about:blank")
        found = other.run(f"({_COLOURS})({json.dumps(png)}, {json.dumps(places)})")
        return [(r, g, b) for r, g, b in found]

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=False)["data"])


class Browser:
    """A running Chromium."""

    def __init__(self, say: int, hear: int, log: Path) -> None:
        self._say, self._hear, self._log = say, hear, log
        self._number = 0
        self._text = b""
        self.events: list[dict[str, Any]] = []

    def open(self, path: Path) -> Page:
        """A file, loaded; every request it makes is in `events`."""
        page = Page(self, "about:blank")
        page.ask("Network.enable")
        page.ask("Page.enable")
        page.ask("Log.enable")
        page.look(1600, 2600)
        page.ask("Page.navigate", url=path.as_uri())
        page.wait("document.readyState === 'complete' && location.protocol === 'file:'")
        return page

    def requests(self) -> list[str]:
        """Addresses that pages have asked for, but for blank ones."""
        asked = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [a["request"]["url"] for a in asked]

    def complaints(self) -> list[str]:
        """What the browser has logged of pages: things refused, things not found."""
        logged = [e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded"]
        return [entry["text"] for entry in logged]

    def ask(self, method: str, session: str = "", **given: Any) -> Any:
        """One method, answered."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._say, data) :]
        end = time.monotonic() + SECONDS
        while True:
            told = self._next(method, end)
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                return told["result"]
            self.events.append(told)

    def _next(self, method: str, end: float) -> dict[str, Any]:
        while b"\0" not in self._text:
            left = end - time.monotonic()
            ready = left > 0 and select.select([self._hear], [], [], left)[0]
            data = os.read(self._hear, 1 << 20) if ready else b""
            assert data, f"no answer to {method}; {self._log.read_text()[-2000:]}"
            self._text += data
        line, _, self._text = self._text.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is below this folder; it is gone afterwards.

    Raises:
        FileNotFoundError: none is installed: `scripts/engine tools chromium`.
    """
    theirs_in, say = os.pipe()
    hear, theirs_out = os.pipe()
    log = folder / "chromium.log"
    argv = ["chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(theirs_in), str(theirs_out), *argv],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=os.environ | {"HOME": str(folder)},
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(say, hear, log)
    finally:
        # Its own session, so these are its processes and no others.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(say)
        os.close(hear)
