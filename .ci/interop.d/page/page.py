#!/usr/bin/env python3
"""The page of `outpost-queue run --listen` in a browser, with a queue whose contents are known.

    page.py --program PATH --scratch DIR [--port N]

The queue has messages that wait, are deferred, under way and held, a suppressed address, and destinations and replies with
markup, quotes, other scripts and great length in them. Looked at are the numbers, the text, what the browser asked for and
complained of, both colour schemes, a narrow window, and what happens when the store does not answer.

Each check has to complain of a page in which what it looks for is spoiled: see SPOILT. Needs Python 3.10, Chromium and nothing
else. The screenshots stay in DIR.
"""

import argparse
import http.client
import http.server
import json
import pathlib
import sys
import threading
import urllib.parse
import urllib.request

import browser
import checks
import spoilt
import world

LOOK = (pathlib.Path(__file__).resolve().parent / "look.js").read_text(encoding="utf-8")
WIDE, NARROW = 1000, 360


def look(tab, address, width=WIDE, scheme="light"):
    """Opens the page and returns everything that the checks want to know."""
    tab.resize(width)
    tab.scheme(scheme)
    tab.open(address)
    seen = tab.evaluate(LOOK)
    seen.update(address=address, wanted=scheme, requests=tab.requests, statuses=tab.statuses, complaints=tab.complaints, dialogs=tab.dialogs)
    return seen


class Copy(http.server.BaseHTTPRequestHandler):
    """Serves what it is told to as if it were the program."""

    head, body = {}, b""

    def do_GET(self):
        self.send_response(200)
        for name, value in self.head.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


def check_spoilt(tab, address, store):
    """Each check complains of the page in which what it looks for is wrong, and none of an honest copy."""
    page = urllib.request.urlopen(address).read().decode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Copy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    copy = f"http://127.0.0.1:{server.server_port}/"
    troubles = []
    try:
        for name, old, new, options in [(None, "", "", {}), *spoilt.PAGES]:
            if old not in page:
                troubles.append(f"the page has no {old} to spoil for {name}")
                continue
            # Without the policy, so that what is in the page runs: the policy has a check of its own.
            Copy.head = {"Content-Type": "text/html; charset=utf-8"}
            Copy.body = page.replace(old, new, 1).encode()
            seen = look(tab, copy, **options)
            complaints = list(checks.all_of(seen, store))
            found = {check for check, _ in complaints}
            if (name is None and found) or (name and name not in found):
                troubles.append(f"a page spoilt for {name} ({new}) has these complaints: {complaints}")
    finally:
        server.shutdown()
        server.server_close()
    return troubles


def check_requests(address):
    """Nothing can be sent to the program, and every answer has the policy."""
    where = urllib.parse.urlsplit(address).netloc
    troubles = []

    def ask(method, path):
        connection = http.client.HTTPConnection(where, timeout=30)
        connection.request(method, path, body=b"x=y" if method != "GET" else None)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    for path in ["/", "/metrics", "/healthz", "/nowhere"]:
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]:
            answer = ask(method, path)
            if (answer.status, answer.headers["Allow"]) != (405, "GET, HEAD"):
                troubles.append(f"{method} {path} has {answer.status}, Allow: {answer.headers['Allow']}")
        answer = ask("GET", path)
        for name, value in checks.HEAD.items():
            if value not in (answer.headers[name] or ""):
                troubles.append(f"GET {path} has {name}: {answer.headers[name]}")
    return troubles


def check_views(tab, address, store, scratch):
    """The page in all widths and schemes."""
    for width in [WIDE, NARROW]:
        for scheme in ["light", "dark"]:
            seen = look(tab, address, width, scheme)
            tab.picture(scratch / f"{width}-{scheme}.png")
            for name, trouble in checks.all_of(seen, store):
                yield f"{width} pixels, {scheme}: {name}: {trouble}"


def check_others(tab, address):
    """What is meant for machines is no markup when a browser shows it."""
    for path, words in [("metrics", world.SOCKET.split("unix:")[1][:30]), ("healthz", "ok"), ("<script>ran = 1</script>", "there are /")]:
        tab.open(address + path)
        shown = tab.evaluate("({ran: typeof ran, scripts: document.scripts.length, text: document.body.textContent})")
        if shown["ran"] != "undefined" or shown["scripts"] or tab.dialogs or words not in shown["text"]:
            yield f"/{path} is {shown}"


def number(tab, name):
    return tab.evaluate(LOOK)["numbers"].get(name)


def check_refresh(tab, address, queue):
    """The page looks again by itself, and asks for nothing but itself."""
    tab.open(address)
    before = number(tab, "held tasks")
    queue.call("cancel", queue.held[0])
    tab.await_load(2)
    after = number(tab, "held tasks")
    if (before, after) != ("7", "6"):
        yield f"held tasks go from {before} to {after}"
    if set(tab.requests) != {("GET", address)} or tab.complaints:
        yield f"it asks for {tab.requests}, and says {tab.complaints}"


def check_trouble(tab, address, queue):
    """A store that does not answer is told, as an alert; the page comes back with the store."""
    for name, broken in [("task", True), ("gone", False)]:
        queue.rename_table(name, "gone" if broken else "task")
        # An answer of the store is good for a second.
        for _ in range(20):
            seen = look(tab, address)
            if (seen["alert"] is not None) == broken:
                break
        if seen["statuses"] != [503 if broken else 200] or (seen["alert"] or "").startswith("The store does not answer: ") != broken:
            yield f"without its table {broken}: {seen['statuses']}, {seen['alert']}"
        if broken and any(name in seen["numbers"] for name in checks.NUMBERS):
            yield f"numbers of a store that does not answer: {seen['numbers']}"
        if set(seen["elements"]) - checks.ELEMENTS or seen["ran"] or seen["dialogs"]:
            yield f"there is {seen}"


def check_contents(queue, before):
    """Looking has changed nothing, and an address was suppressed all the time."""
    messages, suppressed = queue.contents()
    if (messages, suppressed) != before:
        yield f"the queue is not what it was: {messages}, {suppressed}"
    if "@[127.0.2.2]" not in suppressed:
        yield "no address is suppressed"


def told(check):
    """The complaints of a check; one that cannot go on is one."""
    try:
        return list(check())
    except browser.BrowserError as why:
        return [str(why)]


def run(options):
    scratch = pathlib.Path(options.scratch)
    queue = world.World(options.program, scratch, options.port)
    chromium = None
    found = {}
    try:
        address = queue.start()
        queue.fill()
        store = str(queue.file)
        before = queue.contents()
        chromium = browser.Browser()
        tab = browser.Tab(chromium)
        for name, check in [
            ("views", lambda: check_views(tab, address, store, scratch)),
            ("spoilt pages", lambda: check_spoilt(tab, address, store)),
            ("requests", lambda: check_requests(address)),
            ("others", lambda: check_others(tab, address)),
            ("contents", lambda: check_contents(queue, before)),
            ("refresh", lambda: check_refresh(tab, address, queue)),
            ("trouble", lambda: check_trouble(tab, address, queue)),
        ]:
            found[name] = told(check)
    finally:
        if chromium:
            chromium.close()
        queue.stop()
    for name, troubles in found.items():
        print(f"page: {name}: {'; '.join(troubles) or 'ok'}")
    if any(found.values()):
        sys.exit("page: the page is not what it should be")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--scratch", required=True, metavar="DIR")
    parser.add_argument("--port", type=int, default=20125, help="the port of the servers, on 127.0.2.N")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
