"""A real browser for tests: headless Chromium, told what to do over its debugging pipe."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE, readable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOUND = next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One page; what it says on its console and asks of the network is kept."""

    def __init__(self, profile: Path) -> None:
        assert FOUND
        ours, theirs = os.pipe(), os.pipe()  # it reads commands from 3 and writes answers to 4
        self.commands, self.answers = ours[1], theirs[0]
        command = [
            "bash", "-c", f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$@"', "-", FOUND,
            "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run",
            f"--user-data-dir={profile}", "--window-size=1400,1000", "--disable-extensions",
            "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage",
            "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, pass_fds=(ours[0], theirs[1]), stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self.number, self.rest, self.session = 0, b"", ""
        self.console: list[str] = []
        self.requests: list[str] = []
        self.page: Path | None = None  # the report it shows as it was opened
        (target,) = [
            t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"
        ]
        attach = {"targetId": target["targetId"], "flatten": True}
        self.session = self.call("Target.attachToTarget", **attach)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])
            self._hear(answer)

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            assert left > 0, f"no answer to {what}"
            assert readable(self.answers, left), f"no answer to {what}"
            more = os.read(self.answers, 1 << 20)
            assert more, f"the browser is gone (exit code {self.process.poll()})"
            self.rest += more
        one, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(one))

    def _hear(self, event: dict[str, Any]) -> None:
        method, what = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.console.append(f"exception: {what['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.console.append(f"{what['entry']['level']}: {what['entry']['text']}")
        elif method == "Runtime.consoleAPICalled":
            said = " ".join(str(a.get("value", a.get("description"))) for a in what["args"])
            self.console.append(f"{what['type']}: {said}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def js(self, expression: str) -> Any:
        """The value of an expression on the page; promises are waited for."""
        how = {"returnByValue": True, "awaitPromise": True}
        done = self.call("Runtime.evaluate", expression=expression, **how)
        assert "exceptionDetails" not in done, (expression, done["exceptionDetails"])
        return done["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.js(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.05)

    def settle(self) -> None:
        """Wait until what was asked for has been drawn."""
        self.js("new Promise(d => requestAnimationFrame(() => setTimeout(d, 60)))")

    def choose(self, control: str, value: str) -> None:
        """Set a control of the page, as a user does, and wait until that is drawn."""
        self.js(
            f"(c => {{ c.value = {json.dumps(value)}; for (const kind of ['input', 'change'])"
            f" c.dispatchEvent(new Event(kind)) }})(document.getElementById('{control}'))"
        )
        self.settle()

    def open(self, path: Path) -> None:
        """Open a report and wait until it is drawn."""
        self.open_url(path.resolve().as_uri())
        self.page = path

    def open_url(self, url: str) -> None:
        """Open a report that is served, and wait until it is drawn."""
        self.page = None
        self.console.clear()
        self.requests.clear()
        done = self.call("Page.navigate", url=url)
        assert "errorText" not in done, done
        failed = "(l => l && l.textContent.includes('drawn:'))(document.getElementById('loading'))"
        self.wait(f"document.body && (document.body.dataset.ready === 'yes' || {failed})")
        assert self.js("document.body.dataset.ready === 'yes'"), self.console
        self.settle()

    def move(self, x: float, y: float) -> None:
        """Move the mouse."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move in steps, and let go."""
        self.move(*start)
        press = {"button": "left", "clickCount": 1, "buttons": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **press)
        for i in range(1, 9):
            x, y = (a + (b - a) * i / 8 for a, b in zip(start, end, strict=True))
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **press)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **press)

    def screenshot(self, whole: bool = False) -> bytes:
        """What the window shows, or all of the page, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End it and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
