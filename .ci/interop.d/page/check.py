#!/usr/bin/env python3
"""The page of the queue in a headless Chromium: what it shows, and what it does not do.

    check.py --program PATH [--pictures FOLDER]

A worker serves the page of a queue with known contents, in which servers and destinations have names and words that would
be markup. Needs Debian's chromium.
"""

import argparse
import pathlib
import tempfile
import time
import urllib.error
import urllib.request

from browser import Browser, Tab
from world import DEFERS, EVIL, LONG, LONG_SOCKET, SHOUTS, SILENT, SOCKET, World

PORT = 2526
LOOK = pathlib.Path(__file__).with_name("look.js").read_text()

# What `World.fill` has left, but for times.
NUMBERS = {
    "messages in the queue": "29",
    "new tasks": "0",
    "due tasks": "19",
    "deferred tasks": "2",
    "tasks under way": "1",
    "of them in the last step": "0",
    "held tasks": "7",
    "destinations that rest": "1",
    "sent": "2",
    "deferred": "2",
    "bounced": "1",
}
# Destination, tasks, running, at a time.
ROWS = [
    ("smtp:held.example", "7", "0", "1"),
    (f"lmtp:{LONG_SOCKET}", "6", "0", "1"),
    (f"lmtp:{SOCKET}", "5", "0", "1"),
    (f"smtp:{LONG}", "4", "0", "1"),
    (f"smtp:{SHOUTS}", "3", "0", "1"),
    ("smtp:bücher.example", "2", "0", "1"),
    (f"smtp:{DEFERS}", "1", "0", "1"),
    (f"smtp:{SILENT}", "1", "1", "1"),
]
COLUMNS = [["th", "col", name] for name in ["destination", "tasks", "running", "at a time", "oldest"]]
# What the page is made of. Nothing here takes input, leads elsewhere or runs.
ELEMENTS = set("html head meta title style body header h1 h2 p main section dl div dt dd table thead tr th tbody td small".split())
ATTRIBUTES = set("lang charset name content http-equiv class scope role".split())


def same(what, found, expected):
    assert found == expected, f"{what}: {found!r}, not {expected!r}"


def is_quiet(tab, address):
    """The page asks for itself and for nothing else, and the browser has nothing to say about it."""
    same("requests", set(tab.requests), {("GET", address)})
    same("complaints", tab.complaints, [])
    same("dialogs", tab.dialogs, [])


def shows_the_queue(page, store):
    numbers = dict(page["numbers"])
    assert numbers.pop("age of the oldest task").endswith("s"), page["numbers"]
    same("numbers", numbers, NUMBERS)
    same("destinations", [(row["name"], *row["cells"][:3]) for row in page["rows"]], ROWS)
    same("store", page["store"], store)
    troubles = {row["name"]: row["trouble"] for row in page["rows"] if row["trouble"]}
    same("resting destinations", set(troubles), {f"smtp:{SHOUTS}"})
    assert EVIL in troubles[f"smtp:{SHOUTS}"], troubles


def is_text(page):
    """What comes from outside is text."""
    assert not page["ran"], "a script has run"
    same("elements that do not belong there", set(page["elements"]) - ELEMENTS, set())
    same("attributes that do not belong there", set(page["attributes"]) - ATTRIBUTES, set())


def is_for_everybody(page, what):
    same("language", page["language"], "en")
    same("mode", page["mode"], "CSS1Compat")
    same("headings", [name for name, _ in page["headings"]], ["h1", "h2", "h2"])
    same("columns", page["columns"], COLUMNS)
    assert all(row["head"] == ["th", "row"] for row in page["rows"]), page["rows"]
    assert page["title"], "it has no title"
    assert page["width"] <= page["room"], f"{what}: {page['width']} wide in {page['room']}"
    same(f"{what}: hard to read", page["faint"], [])


def is_read_only(address):
    for method in ["POST", "PUT", "DELETE"]:
        try:
            urllib.request.urlopen(urllib.request.Request(address, data=b"", method=method), timeout=30)
            raise AssertionError(f"{method} is taken")
        except urllib.error.HTTPError as refusal:
            same(method, refusal.code, 405)


def check(world, address, tab, pictures):
    for scheme in ["light", "dark"]:
        tab.scheme(scheme)
        for width in [360, 1280]:
            tab.resize(width)
            tab.open(address)
            page = tab.evaluate(LOOK)
            what = f"{scheme}, {width} pixels"
            is_quiet(tab, address)
            same("status", tab.statuses, [200])
            shows_the_queue(page, str(world.file))
            is_text(page)
            is_for_everybody(page, what)
            same(what, page["dark"], scheme == "dark")
            if pictures:
                tab.picture(pictures / f"{scheme}-{width}.png")
    # It looks again by itself.
    tab.await_load(2)
    is_quiet(tab, address)
    is_read_only(address)
    # The page is there when the store is not, and says so.
    world.rename_table("task", "away")
    # What the program has just seen holds for a second.
    time.sleep(1.5)
    tab.open(address)
    page = tab.evaluate(LOOK)
    assert (page["alert"] or "").startswith("The store does not answer: "), page["alert"]
    same("destinations without a store", page["rows"], [])
    is_text(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--pictures", type=pathlib.Path, help="keep pictures of the page here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="page.") as folder:
        world = World(options.program, folder, PORT)
        browser = None
        try:
            address = world.start()
            world.fill()
            browser = Browser()
            check(world, address, Tab(browser), options.pictures)
        finally:
            if browser:
                browser.close()
            world.stop()
    print("page: Chromium shows the queue, light and dark, on a phone and a desk, and nothing from outside is markup")


if __name__ == "__main__":
    main()
