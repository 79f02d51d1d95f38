"""A headless Chromium, spoken to in its DevTools protocol over two pipes: lines of JSON that end in NUL."""

import base64
import json
import os
import selectors
import subprocess
import tempfile
import time

# Nothing of the browser's own goes out, and no name is looked up: whatever a page asks for elsewhere fails, and is seen.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
]
PATIENCE = 30


class BrowserError(Exception):
    """The browser did not do what it was told."""


class Browser:
    """The process."""

    def __init__(self, program="chromium"):
        self.folder = tempfile.TemporaryDirectory(prefix="page.", ignore_cleanup_errors=True)
        theirs, self.commands = os.pipe()
        self.answers, ours = os.pipe()
        # The browser reads at 3 and writes at 4. (dash has no redirection from numbers of two digits.)
        redirect = f'exec "$@" 3<&{theirs} 4>&{ours}'
        command = ["bash", "-c", redirect, "bash", program, *FLAGS, f"--user-data-dir={self.folder.name}", "about:blank"]
        self.log = open(os.path.join(self.folder.name, "log"), "wb")
        self.process = subprocess.Popen(command, pass_fds=(theirs, ours), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(theirs)
        os.close(ours)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.answers, selectors.EVENT_READ)
        self.pending = b""
        self.last = 0
        self.events = []

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.commands)
        os.close(self.answers)
        self.log.close()
        self.folder.cleanup()

    def read(self, until):
        """The next thing that the browser says; None when the time is over."""
        while b"\0" not in self.pending:
            if not self.selector.select(max(0, until - time.monotonic())):
                return None
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise BrowserError(f"the browser is gone, with {self.process.wait()}")
            self.pending += piece
        said, self.pending = self.pending.split(b"\0", 1)
        return json.loads(said)

    def call(self, method, session=None, **parameters):
        """Has the browser do something, and returns its answer. What it says meanwhile is kept."""
        self.last += 1
        command = {"id": self.last, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while (said := self.read(until)) is not None:
            if said.get("id") != self.last:
                self.events.append(said)
            elif "error" in said:
                raise BrowserError(f"{method}: {said['error']['message']}")
            else:
                return said["result"]
        raise BrowserError(f"{method} has no answer")

    def collect(self, seconds):
        """Listens for some time, or not longer than for what is there already."""
        until = time.monotonic() + seconds
        while (said := self.read(until)) is not None:
            self.events.append(said)
        events, self.events = self.events, []
        return events


class Tab:
    """A page of the browser, and everything that it does."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Network", "Log", "Runtime"]:
            self.call(f"{domain}.enable")
        # An answer of the cache would be no request.
        self.call("Network.setCacheDisabled", cacheDisabled=True)
        self.forget()

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def forget(self):
        self.requests = []
        self.statuses = []
        self.complaints = []
        self.dialogs = []
        self.loads = 0

    def listen(self, seconds=0.0):
        """Sorts what has happened, and answers dialogs: a page that shows one goes no further."""
        for event in self.browser.collect(seconds):
            if event.get("sessionId") != self.session:
                continue
            what, about = event["method"], event["params"]
            if what == "Page.javascriptDialogOpening":
                self.dialogs.append(about["message"])
                self.call("Page.handleJavaScriptDialog", accept=False)
            elif what == "Page.loadEventFired":
                self.loads += 1
            elif what == "Network.requestWillBeSent":
                request = about["request"]
                # The browser looks for a site's picture by itself, where no policy forbids it.
                if not request["url"].endswith("/favicon.ico"):
                    self.requests.append((request["method"], request["url"]))
            elif what == "Network.responseReceived" and about["type"] == "Document":
                self.statuses.append(about["response"]["status"])
            elif what == "Log.entryAdded":
                self.complaints.append(about["entry"]["text"])
            elif what in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.complaints.append(json.dumps(about))

    def await_load(self, loads):
        until = time.monotonic() + PATIENCE
        while self.loads < loads:
            if time.monotonic() > until:
                raise BrowserError("the page does not come")
            self.listen(0.05)

    def open(self, address):
        """Opens a page, and waits until nothing more comes."""
        self.forget()
        answer = self.call("Page.navigate", url=address)
        if "errorText" in answer:
            raise BrowserError(f"{address}: {answer['errorText']}")
        self.await_load(1)
        self.listen(0.3)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def resize(self, width, height=800):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
