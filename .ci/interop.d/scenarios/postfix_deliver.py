#!/usr/bin/env python3
"""A real Postfix behind the command line of `outpost deliver`.

    postfix_deliver.py deliver --config DIR/main.cf --dns HOST:PORT --request FILE --report json [--at-once N]

POSTFIX_ROOT=DIR is the root folder in which Debian's packages are unpacked; without it, Postfix is installed. The
log goes to standard error. Needs root.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import namespaces  # noqa: E402
from mail_system import MailSystem  # noqa: E402

# Longer than a cached connection is kept in the scenarios that do not say otherwise, so that its end is seen.
LINGER_S = 2.6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("verb", choices=["deliver"])
    parser.add_argument("--config", required=True)
    parser.add_argument("--dns", required=True)
    parser.add_argument("--request", required=True)
    parser.add_argument("--report", choices=["json"])
    parser.add_argument("--at-once", type=int, default=1)
    options = parser.parse_args()
    root = os.environ.get("POSTFIX_ROOT") or "/"
    batch = json.loads(pathlib.Path(options.request).read_text(encoding="utf-8"))
    requests = batch["requests"]
    folder = tempfile.mkdtemp(prefix="resolver-")
    os.chmod(folder, 0o755)
    namespaces.own_resolver(folder, options.dns, root)
    flags = {request.get("flags", "") for request in requests}
    system = MailSystem(options.config, batch.get("protocol", "smtp"), flags, root, options.at_once)

    def deliver(number, request):
        time.sleep(request.get("pause_ms", 0) / 1000)
        return system.deliver(number, request)

    try:
        # Requests begin in their order.
        with concurrent.futures.ThreadPoolExecutor(options.at_once) as connections:
            results = list(connections.map(deliver, range(len(requests)), requests))
        configured = "connection_cache" in pathlib.Path(options.config).read_text(encoding="utf-8")
        if configured or any(request.get("connection_cache") for request in requests):
            time.sleep(LINGER_S)
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.write("\n".join(system.log) + "\n")
    json.dump({"requests": results}, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
