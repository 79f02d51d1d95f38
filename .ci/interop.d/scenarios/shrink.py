"""Smaller scenarios that still differ in the same way."""

import base64
import copy
import json
import time

KEPT = {
    "compatibility_level", "myhostname", "inet_interfaces", "inet_protocols", "smtp_tcp_port", "lmtp_tcp_port",
    "smtp_randomize_addresses", "lmtp_randomize_addresses",
}
PLAIN = b"Subject: x\n\nhi\n"
SENDER = "sender@client.example.org"


def shrink(scenario, step, pool, width, limit_s):
    """Takes away what can go. `step` says in a process of `pool` whether a scenario still differs: it returns the
    scenario with its expectation and the difference, or None."""
    best, begun, tried = None, time.monotonic(), set()
    progress = True
    while progress and time.monotonic() - begun < limit_s:
        progress = False
        candidates = [one for one in smaller(scenario) if remember(one, tried)]
        for start in range(0, len(candidates), width):
            if time.monotonic() - begun >= limit_s:
                break
            hits = [one for one in pool.map(step, candidates[start : start + width]) if one]
            if hits:
                best, progress = hits[0], True
                scenario = best[0]
                break
    return best


def remember(scenario, tried):
    key = json.dumps({name: value for name, value in scenario.items() if name != "expect"}, sort_keys=True)
    new = key not in tried
    tried.add(key)
    return new


def smaller(scenario):
    """Smaller scenarios, large steps first."""
    edits = Edits(scenario)
    edits.requests()
    edits.settings()
    edits.servers()
    edits.names()
    edits.files()
    edits.envelopes()
    edits.messages()
    return edits.found


class Edits:
    """Collects copies of a scenario from which one thing is missing."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.found = []

    def without(self, *path):
        """Takes away the item at the end of a path."""
        self.change(path[:-1], lambda place: place.pop(path[-1]))

    def replace(self, *path_and_value):
        *path, last, value = path_and_value
        self.change(path, lambda place: place.__setitem__(last, value))

    def change(self, path, action):
        smaller = copy.deepcopy(self.scenario)
        smaller.pop("expect", None)
        place = smaller
        for step in path:
            place = place[step]
        action(place)
        self.found.append(smaller)

    def requests(self):
        if "at_once" in self.scenario:
            self.without("at_once")
        if len(self.scenario["requests"]) > 1:
            for index in range(len(self.scenario["requests"])):
                self.without("requests", index)

    def settings(self):
        names = [name for name in self.scenario["params"] if name not in KEPT]
        limits = [name for name in names if name.endswith("_timeout")]
        others = [name for name in names if name not in limits]
        half = len(others) // 2
        for group in (limits, others[:half], others[half:]):
            if len(group) > 1:
                self.change(["params"], lambda place, group=group: [place.pop(name) for name in group])
        for name in others:
            self.without("params", name)

    def servers(self):
        for name, script in self.scenario["servers"].items():
            self.without("servers", name)
            for index, rule in enumerate(script["rules"]):
                self.without("servers", name, "rules", index)
                for part in {"chunks", "then", "session", "nth"} & rule.keys():
                    self.without("servers", name, "rules", index, part)
                if len(rule.get("reply", [])) > 1:
                    for line in range(len(rule["reply"])):
                        self.without("servers", name, "rules", index, "reply", line)
            if script["extensions"]:
                self.replace("servers", name, "extensions", [])
            for index in range(len(script["extensions"])):
                self.without("servers", name, "extensions", index)
            for part in ("record_peer", "note_pause", "max_sessions", "tls_extensions", "gather"):
                if part in script:
                    self.without("servers", name, part)

    def names(self):
        for name, records in self.scenario["dns"].items():
            self.without("dns", name)
            exchangers = records.get("MX")
            if isinstance(exchangers, list) and len(exchangers) > 1:
                for index in range(len(exchangers)):
                    self.without("dns", name, "MX", index)

    def files(self):
        for name, text in self.scenario["files"].items():
            lines = text.splitlines(True)
            if "-----BEGIN" in text or len(lines) < 2:
                continue
            for index in range(len(lines)):
                self.replace("files", name, "".join(lines[:index] + lines[index + 1 :]))

    def envelopes(self):
        for index, request in enumerate(self.scenario["requests"]):
            recipients = request["recipients"]
            for number, recipient in enumerate(recipients):
                if len(recipients) > 1:
                    self.without("requests", index, "recipients", number)
                for part in {"original", "orcpt", "notify"} & recipient.keys():
                    self.without("requests", index, "recipients", number, part)
                plain = f"u{number}@example.com"
                if recipient["address"] != plain:
                    self.replace("requests", index, "recipients", number, "address", plain)
            for part in ("envid", "ret", "flags", "probe", "client", "age", "size", "connection_cache"):
                if part in request:
                    self.without("requests", index, part)
            for part, value in (("sender", SENDER), ("smtputf8", False), ("encoding", "7bit")):
                if request[part] != value:
                    self.replace("requests", index, part, value)

    def messages(self):
        for index, request in enumerate(self.scenario["requests"]):
            message = base64.b64decode(request["message_base64"])
            if message == PLAIN:
                continue
            for text in shorter(message):
                self.replace("requests", index, "message_base64", base64.b64encode(text).decode())


def shorter(message):
    """Shorter messages: without half of the lines, a quarter and so on, or with half of a line."""
    yield PLAIN
    lines = message.split(b"\n")
    step = len(lines) // 2
    while step:
        for start in range(0, len(lines), step):
            yield b"\n".join(lines[:start] + lines[start + step :])
        step //= 2
    for number, line in enumerate(lines):
        if len(line) > 8:
            for half in (line[: len(line) // 2], line[len(line) // 2 :]):
                yield b"\n".join(lines[:number] + [half] + lines[number + 1 :])
