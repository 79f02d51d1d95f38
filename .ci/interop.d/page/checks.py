"""The things that hold for every sight of the page. Each check yields its complaints."""

import re

import world

HEAD = {
    "Content-Security-Policy": "default-src 'none'; ",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
# Nothing that asks for anything, runs, or takes input. Whatever a text from outside brought along would be something else.
ELEMENTS = set("html head meta title style body header h1 p main section h2 dl div dt dd table thead tbody tr th td small".split())
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class", "scope", "role"}
AGE = re.compile(r"\d+s|\d+m( \d+s)?")
# What `world.World.fill` has put in.
NUMBERS = {
    "messages in the queue": "32",
    "new tasks": "3",
    "due tasks": "19",
    "deferred tasks": "2",
    "tasks under way": "1",
    "of them in the last step": "0",
    "held tasks": "7",
    "destinations that rest": "1",
}
VERDICTS = {"sent": "2", "deferred": "2", "bounced": "1"}
AGES = ["age of the oldest task"]
COLUMNS = ["destination", "tasks", "running", "at a time", "oldest"]
ELSEWHERE = "3 tasks for destinations beyond this list, or at which no worker has looked yet"
SHOUT = f"host 127.0.2.4[127.0.2.4] refused to talk to me: 421 4.3.2 {world.EVIL} gr"
# Name, tasks, running.
ROWS = [
    ("smtp:held.example", "7", "0"),
    (f"lmtp:{world.LONG_SOCKET}", "6", "0"),
    (f"lmtp:{world.SOCKET}", "5", "0"),
    (f"smtp:{world.LONG}", "4", "0"),
    (f"smtp:{world.SHOUTS}", "3", "0"),
    ("smtp:bücher.example", "2", "0"),
    (f"smtp:{world.DEFERS}", "1", "0"),
    (f"smtp:{world.SILENT}", "1", "1"),
]


def numbers(seen, _):
    shown = dict(seen["numbers"])
    for name in AGES:
        if not AGE.fullmatch(shown.pop(name, "")):
            yield f"{name} is {seen['numbers'].get(name)}"
    if shown != {**NUMBERS, **VERDICTS}:
        yield f"they are {shown}"


def destinations(seen, _):
    shown = [(row["name"], *row["cells"][:2]) for row in seen["rows"]]
    if shown != ROWS:
        yield f"they are {shown}"
    if seen["elsewhere"] != ELSEWHERE:
        yield f"there is {seen['elsewhere']}"
    for row in seen["rows"]:
        if len(row["cells"]) != len(COLUMNS) - 1 or not AGE.fullmatch(row["cells"][-1]):
            yield f"{row['name'][:60]} has {row['cells']}"


def rest(seen, _):
    """The one that rests says why, with the server's own words."""
    for row in seen["rows"]:
        rests = row["name"] == f"smtp:{world.SHOUTS}"
        said = row["trouble"] or ""
        if rests != (re.match(r"rests for \d+m( \d+s)?: ", said) is not None and SHOUT in said):
            yield f"{row['name'][:60]} says {row['trouble']}"


def store(seen, path):
    if seen["store"] != path:
        yield f"it is {seen['store']}"


def markup(seen, _):
    for kind, known in [("elements", ELEMENTS), ("attributes", ATTRIBUTES)]:
        if strange := set(seen[kind]) - known:
            yield f"there are the {kind} {strange}"


def scripts(seen, _):
    if seen["ran"] or seen["dialogs"]:
        yield f"something ran, with the dialogs {seen['dialogs']}"


def requests(seen, _):
    if seen["requests"] != [("GET", seen["address"])] or seen["statuses"] != [200]:
        yield f"the browser asked for {seen['requests']}, and got {seen['statuses']}"


def console(seen, _):
    yield from seen["complaints"]


def width(seen, _):
    if seen["width"] > seen["room"]:
        yield f"it is {seen['width']} pixels wide, in {seen['room']}"
    if seen["hidden"]:
        yield f"these are out of sight: {seen['hidden']}"


def scheme(seen, _):
    if seen["dark"] != (seen["wanted"] == "dark"):
        yield f"it is {'dark' if seen['dark'] else 'light'}"


def contrast(seen, _):
    """WCAG 2.1, 1.4.3: 4.5 to 1."""
    yield from seen["faint"]


def access(seen, _):
    if seen["language"] != "en" or seen["title"] != "Outpost queue" or seen["mode"] != "CSS1Compat":
        yield f"{seen['title']} in {seen['language']}, {seen['mode']}"
    levels = [level for level, _ in seen["headings"]]
    if levels[:1] != ["h1"] or levels.count("h1") != 1 or not all(text for _, text in seen["headings"]):
        yield f"the headings are {seen['headings']}"
    if seen["columns"] != [["th", "col", name] for name in COLUMNS]:
        yield f"the columns are {seen['columns']}"
    for row in seen["rows"]:
        if row["head"] != ["th", "row"]:
            yield f"{row['name'][:60]} is {row['head']}"


ALL = [numbers, destinations, rest, store, markup, scripts, requests, console, width, scheme, contrast, access]


def all_of(seen, path):
    """All complaints, each with the name of its check."""
    for check in ALL:
        for trouble in check(seen, path):
            yield check.__name__, trouble
