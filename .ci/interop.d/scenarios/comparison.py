"""What two runs of a scenario have in common: the comparable part of an observation, and differences to read.

It answers to smtp_sim::compare, which compares inside the simulator.
"""

import base64
import difflib
import json
import re

IGNORED = "<ignored>"


def compare(scenario, observed):
    """Lines that say what differs from the scenario's `expect`; none if nothing does."""
    wanted, seen = picture(scenario["expect"]), picture(observed)
    drop_unwanted_reports(wanted, seen)
    for one in (wanted, seen):
        put_in_order(scenario, one)
    for path in scenario.get("ignore", []):
        wanted, seen = masked(wanted, path), masked(seen, path)
    error = observed.get("error")
    if wanted == seen and not error:
        return []
    lines = list(difflib.unified_diff(rendered(wanted), rendered(seen), "expected", "observed", lineterm="", n=4))
    if error:
        lines.append(f"! {error}")
    return lines or [f"! {json.dumps(wanted)[:400]} / {json.dumps(seen)[:400]}"]


def picture(result):
    """The part of an observation, or of an expectation, that is compared."""
    sessions = [
        {
            "server": session["server"],
            "transcript": session["transcript"],
            "pipeline_groups": session.get("pipeline_groups", []),
            "data_base64": session.get("data_base64", []),
        }
        for session in result.get("sessions", [])
    ]
    recipients = []
    for request in result.get("recipients", []):
        recipients.append([])
        for one in request:
            shown = {name: one.get(name) for name in ("address", "status", "dsn", "relay", "text")}
            if "report" in one:
                shown["report"] = one["report"]
            recipients[-1].append(shown)
    return {"sessions": sessions, "recipients": recipients}


def put_in_order(scenario, picture):
    """Sorts the sessions by what was said, where chance decides which is first."""
    if scenario.get("unordered_sessions") or scenario.get("at_once", 1) > 1:
        picture["sessions"].sort(key=lambda session: json.dumps(list(session.values())))


def drop_unwanted_reports(wanted, seen):
    """An expectation without `report` does not look at reports."""
    for i, request in enumerate(seen["recipients"]):
        for j, one in enumerate(request):
            try:
                expects = "report" in wanted["recipients"][i][j]
            except IndexError:
                expects = False
            if not expects:
                one.pop("report", None)


def masked(value, path):
    """The value with a fixed text where a path leads, such as `recipients[0][*].text`."""
    return mask(value, re.findall(r"[^.\[\]]+|\[\*\]|\[\d+\]", path))


def mask(value, steps):
    if not steps:
        return IGNORED
    step, rest = steps[0].strip("[]"), steps[1:]
    if isinstance(value, list):
        return [mask(one, rest) if step in ("*", str(i)) else one for i, one in enumerate(value)]
    if isinstance(value, dict):
        return {name: mask(one, rest) if step in ("*", name) else one for name, one in value.items()}
    return value


def rendered(whole):
    """A picture as lines of text."""
    lines = []
    for number, session in enumerate(whole["sessions"]):
        if not isinstance(session, dict):
            lines.append(f"session {number}: {session}")
            continue
        lines.append(f"session {number} at {session['server']}")
        for entry in listed(session["transcript"]):
            lines.append(f"    {entry[0]}: {entry[1]}" if isinstance(entry, list) else f"    {entry}")
        groups = [" ".join(listed(group)) for group in listed(session["pipeline_groups"])]
        lines.append("    groups: " + " | ".join(groups))
        for index, content in enumerate(listed(session["data_base64"])):
            lines.append(f"    data {index}:")
            raw = content.encode() if content == IGNORED else base64.b64decode(content)
            lines += ["        " + ascii(line)[2:-1] for line in raw.split(b"\n")]
    for number, request in enumerate(whole["recipients"]):
        lines.append(f"request {number}")
        for one in listed(request):
            if not isinstance(one, dict):
                lines.append(f"    {one}")
                continue
            report = f" report={one['report']}" if "report" in one else ""
            lines.append(f"    <{one['address']}> {one['status']} {one['dsn']} relay={one['relay']}{report}")
            lines.append(f"        ({one['text']})")
    return lines


def listed(value):
    return value if isinstance(value, list) else [value]


def self_test():
    """Shows that every kind of difference is found."""
    session = {"server": "a:1", "transcript": [["C", "QUIT"]], "pipeline_groups": [["QUIT"]], "data_base64": ["eA=="]}
    verdict = {"address": "a@b", "status": "sent", "dsn": "2.0.0", "relay": "r", "text": "t", "report": "relayed"}
    expected = {"sessions": [session], "recipients": [[verdict]]}
    assert not compare({"expect": expected}, expected)
    changes = [{"sessions": []}, {"recipients": []}, {"recipients": [[]]}, {"error": "did not end"}]
    changes += [{"sessions": [{**session, name: ["eQ=="]}]} for name in session]
    changes += [{"recipients": [[{**verdict, name: "x"}]]} for name in verdict]
    for change in changes:
        assert compare({"expect": expected}, {**expected, **change}), f"{change} goes unnoticed"
    # The same dialogue with other content.
    two = [session, {**session, "data_base64": ["eQ=="]}]
    expected, turned = {**expected, "sessions": two}, {**expected, "sessions": two[::-1]}
    assert compare({"expect": expected}, turned), "the order goes unnoticed"
    for free in ({"at_once": 2}, {"unordered_sessions": True}):
        assert not compare({"expect": expected, **free}, turned), f"the order counts in spite of {free}"
        assert compare({"expect": expected, **free}, {**turned, "sessions": two[:1] * 2}), f"not all count with {free}"
