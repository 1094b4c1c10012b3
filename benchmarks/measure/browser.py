"""A headless Chromium, controlled through the DevTools protocol."""

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One page of a headless Chromium.

    Its proxy does not exist, so that requests do not leave the machine.

    Parameters
    ----------
    folder : Path
        Folder of the browser's profile.

    Attributes
    ----------
    requests : list of str
        URLs that the page has requested.
    messages : list of str
        Messages on the console.

    Raises
    ------
    FileNotFoundError
        If no browser is installed.
    """

    def __init__(self, folder: Path) -> None:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise FileNotFoundError(f"None of {', '.join(NAMES)} is installed.")
        self._is_loaded = False
        self.requests: list[str] = []
        self.messages: list[str] = []
        self._process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--proxy-server=127.0.0.1:9",
                f"--user-data-dir={folder}",
                "--remote-debugging-port=0",
                "--remote-allow-origins=*",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._numbers = itertools.count(1)
        self._socket = websocket.create_connection(self._address(folder), timeout=60)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    @staticmethod
    def _address(folder: Path) -> str:
        active = folder / "DevToolsActivePort"
        for _ in range(300):
            if active.is_file() and len(active.read_text().split()) == 2:
                port = active.read_text().split()[0]
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with opener.open(f"http://127.0.0.1:{port}/json") as answer:
                    pages = [page for page in json.load(answer) if page["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.1)
        raise TimeoutError("The browser did not start within 30 s.")

    def call(self, method: str, **parameters):
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        self._socket.send(
            json.dumps({"id": number, "method": method, "params": parameters})
        )
        while True:
            answer = json.loads(self._socket.recv())
            self._handle_event(answer)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _handle_event(self, answer) -> None:
        """Collect messages on the console and requests of the page."""
        parameters = answer.get("params", {})
        if answer.get("method") == "Page.loadEventFired":
            self._is_loaded = True
        if answer.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if answer.get("method") == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(parameters["exceptionDetails"]))
        elif answer.get("method") == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])
        elif answer.get("method") == "Runtime.consoleAPICalled":
            self.messages.append(json.dumps(parameters["args"]))

    def open(self, path: Path, *, query="", width=1280, height=900, dark=False) -> None:
        """Open a file, with a query such as "?example=1", in a window of the given size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self._is_loaded = False
        self.call("Page.navigate", url=path.resolve().as_uri() + query)
        for _ in range(300):
            self.evaluate("document.readyState")  # receives events
            if self._is_loaded:
                return
            time.sleep(0.05)
        raise TimeoutError(f"{path} was not loaded within 15 s.")

    def evaluate(self, script: str):
        """Return the value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def drag(self, selector: str, places: list[tuple[float, float]], **options) -> None:
        """Press the mouse on an element, drag it and release it.

        Parameters
        ----------
        selector : str
        places : list of (x, y)
            Fractions of the element's width and height.
        **options
            Fields of the events, such as ``pointerType="pen"``.
        """
        box = self.evaluate(
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        last = len(places) - 1
        for k, (x, y) in enumerate(places):
            kind = "mousePressed" if k == 0 else "mouseMoved"
            where = {"x": box[0] + x * box[2], "y": box[1] + y * box[3]}
            event = {"button": "left", "buttons": 1, "clickCount": 1} | where | options
            self.call("Input.dispatchMouseEvent", type=kind, **event)
            if k == last:
                self.call("Input.dispatchMouseEvent", type="mouseReleased", **event)

    def screenshot(self, path: Path) -> None:
        """Write a PNG of the whole page."""
        result = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(result["data"]))

    def close(self) -> None:
        """Stop the browser."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
