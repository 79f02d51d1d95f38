"""Runs a delivery program against the scripted servers of a scenario, and observes what happens.

The program is called as a command whose words may hold {config}, the folder with main.cf and the tables, {request},
the file with the requests, and {dns}, the address and port of the name server. A scenario with `at_once` adds
`--at-once N`. The program prints a report in JSON.
"""

import copy
import json
import os
import shutil
import subprocess
import tempfile
import time

import namespaces
from forms import PLACE
from scripted_dns import NameServer
from scripted_server import Endpoint, Log

NAME_SERVER = "127.0.0.153:10053"
# How long servers wait for more commands before they answer.
HOLD_S = 0.12
RUN_LIMIT_S = 150
DRAIN_LIMIT_S = 8


def apart(action, *arguments):
    """What `action` returns in a process of its own with a network of its own, as JSON can say it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            namespaces.own_network()
            result = action(*arguments)
        except Exception as error:  # whatever it is, it must not look like a run
            result = failed(f"the tools failed: {error!r}")
        with os.fdopen(writer, "w") as answer:
            json.dump(result, answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


def failed(why):
    return {"error": why, "sessions": [], "recipients": [], "stderr": ""}


def observe(scenario, command, hold_s=HOLD_S, resolver=True):
    """Starts the servers, runs the command, and returns what happened. To be called apart."""
    folder = tempfile.mkdtemp(prefix="scenario-")
    os.chmod(folder, 0o755)
    log, endpoints, names = Log(), [], None
    protocol = scenario.get("protocol", "smtp")
    try:
        write_inputs(scenario, folder)
        for name, script in scenario.get("servers", {}).items():
            endpoints.append(Endpoint(name, name.replace(PLACE, folder), script, protocol, log, hold_s))
        names = NameServer(scenario.get("dns", {}), NAME_SERVER)
        if resolver:
            # For names that the program looks up by way of the system.
            namespaces.own_resolver(folder, NAME_SERVER)
        observed = run(command, folder, scenario.get("at_once", 1))
        limit = time.monotonic() + DRAIN_LIMIT_S
        while time.monotonic() < limit and any(endpoint.busy() for endpoint in endpoints):
            time.sleep(0.02)
        time.sleep(0.03)
    finally:
        for endpoint in endpoints:
            endpoint.stop()
        if names:
            names.stop()
        shutil.rmtree(folder, ignore_errors=True)
    observed["sessions"] = log.sessions
    return replaced(observed, folder, PLACE)


def run(command, folder, at_once):
    request = os.path.join(folder, "request.json")
    places = {"{config}": folder, "{dns}": NAME_SERVER, "{request}": request}
    words = []
    for word in command:
        for place, value in places.items():
            word = word.replace(place, value)
        words.append(word)
    if at_once > 1:
        words += ["--at-once", str(at_once)]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_LIMIT_S)
    except subprocess.TimeoutExpired:
        return failed(f"the command did not end within {RUN_LIMIT_S} s")
    except OSError as error:
        return failed(f"cannot run the command: {error}")
    observed = {"error": None, "exit": done.returncode, "stderr": done.stderr.decode("utf-8", "replace")}
    try:
        report = json.loads(done.stdout.decode("utf-8", "replace"))
        observed["recipients"] = [request["recipients"] for request in report["requests"]]
    except (ValueError, KeyError, TypeError) as error:
        observed["recipients"] = []
        observed["error"] = f"no report on standard output (exit status {done.returncode}): {error}"
    return observed


def write_inputs(scenario, folder):
    """Writes main.cf, the tables and the requests."""
    with open(os.path.join(folder, "main.cf"), "w", encoding="utf-8") as file:
        for name, value in scenario.get("params", {}).items():
            indented = str(value).replace("\n", "\n    ")
            file.write(f"{name} = {indented}\n")
    for name, text in scenario.get("files", {}).items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(path, 0o644)
    requests = copy.deepcopy(scenario["requests"])
    for request in requests:
        request["nexthop"] = request["nexthop"].replace(PLACE, folder)
    with open(os.path.join(folder, "request.json"), "w", encoding="utf-8") as file:
        json.dump({"protocol": scenario.get("protocol", "smtp"), "requests": requests}, file)


def replaced(value, old, new):
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [replaced(one, old, new) for one in value]
    if isinstance(value, dict):
        return {name: replaced(one, old, new) for name, one in value.items()}
    return value
