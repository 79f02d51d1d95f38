#!/usr/bin/env python3
"""Uses what real servers offer beyond plain delivery, and looks at what they made of it.

    features.py --outpost PROGRAM --config main.cf --scratch DIR --runtimes R… --servers NAME…

Runs every case whose servers are up through every runtime and prints a table. Exit status 1 if anything is not as
it should be. What is looked at is what the other side wrote: Postfix's log, the reports that it sends to the sender,
the messages that it stored, Exim's log. Needs Python 3.9 and nothing else.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import time

DELIVERY_LIMIT_S = 60
LOG_LIMIT_S = 30
POSTFIX, NO_UTF8, POSTFIX_AUTH, DOVECOT, EXIM_AUTH = (
    "[127.0.0.1]:12501",
    "[127.0.0.1]:12506",
    "[127.0.0.1]:12507",
    "inet:[127.0.0.1]:12504",
    "[127.0.0.1]:12509",
)
SENDER = "sender@interop.test"
INBOX = "inbox@interop.test"
# Postfix takes mail for this one and finds out later that it cannot be delivered.
FAILING = "failing@interop.test"
USER = "joe"
PASSWORD = "hush-hush"


class Wrong(Exception):
    """Something is not as it should be."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


class Run:
    """One case in one runtime."""

    def __init__(self, options, runtime, case):
        self.options, self.runtime, self.case = options, runtime, case
        self.scratch = pathlib.Path(options.scratch)
        self.identity = f"features.{runtime}.{case}"

    def message(self, subject="interop"):
        return (
            f"From: Sender <{SENDER}>\nTo: inbox@interop.test\nSubject: {subject}\n"
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\n"
            f"Message-ID: <{self.identity}@client.interop.test>\n\nThe text of {self.identity}.\n"
        )

    def deliver(self, nexthop, recipient, settings=(), protocol="smtp", subject="interop", copies=1, **envelope):
        """The program's own verdict on one recipient, of the last copy if there are several."""
        request = {
            "nexthop": nexthop,
            "sender": SENDER,
            "recipients": [recipient],
            "message_base64": base64.b64encode(self.message(subject).encode()).decode(),
            **envelope,
        }
        file = self.scratch / f"{self.identity}.json"
        file.write_text(json.dumps({"protocol": protocol, "requests": [request] * copies}))
        command = [self.options.outpost, "deliver", "--config", self.options.config, "--runtime", self.runtime]
        for setting in settings:
            command += ["-o", setting]
        command += ["--report", "json", "--request", str(file)]
        told = {**os.environ, "RUST_LOG": "info"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=DELIVERY_LIMIT_S, env=told)
        file.unlink()
        self.told = done.stderr
        expect(PASSWORD not in done.stdout + done.stderr, "the password is shown")
        try:
            return json.loads(done.stdout)["requests"][-1]["recipients"][0]
        except (ValueError, KeyError, IndexError):
            raise Wrong(f"no verdict: {done.stderr.strip()[-300:]}") from None

    def sent(self, *arguments, **named):
        verdict = self.deliver(*arguments, **named)
        expect(verdict["status"] == "sent", f"{verdict['status']} ({verdict['text']})")
        return verdict

    def postfix_log(self, verdict):
        """What Postfix logged about a message, once it is done with it."""
        queue_id = re.search(r"queued as (\w+)", verdict["text"])
        expect(queue_id, f"no queue id in: {verdict['text']}")
        return self.wait(lambda: self.finished(queue_id[1]), f"Postfix is not done with {queue_id[1]}")

    def finished(self, queue_id):
        lines = self.log("postfix/var/log/mail.log").split("\n")
        lines = "\n".join(line for line in lines if f" {queue_id}: " in line)
        return lines if f" {queue_id}: removed" in lines else None

    def log(self, path):
        file = self.scratch / path
        return file.read_text(errors="replace") if file.exists() else ""

    def wait(self, look, what):
        deadline = time.monotonic() + LOG_LIMIT_S
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.05)
        raise Wrong(what)

    def stored(self, text, server="postfix"):
        """The stored message with this text in it, which is then taken away."""

        def look():
            for path in sorted((self.scratch / server / "var/mail/inbox/new").glob("*")):
                content = path.read_bytes().decode(errors="replace")
                if text in content:
                    path.unlink()
                    return content
            return None

        return self.wait(look, f"nothing stored with {text}")

    def take_away(self, server="postfix"):
        """Leaves nothing of this case behind."""
        for path in (self.scratch / server / "var/mail/inbox/new").glob("*"):
            if self.identity.encode() in path.read_bytes():
                path.unlink()


def notify(run, address, notify_words, ret):
    """Sends a message with all DSN parameters; gives back Postfix's log and the id of the notice in it, if any."""
    original = "rfc822;first+last=x@elsewhere.test"
    recipient = {"address": address, "notify": notify_words, "orcpt": original}
    verdict = run.sent(POSTFIX, recipient, envid=f"QQ=1+2.{run.identity}", ret=ret)
    expect("report" not in verdict, "the client makes a report that is the server's to make")
    log = run.postfix_log(verdict)
    notice = re.search(r"notification: (\w+)", log)
    return log, notice and notice[1]


def notice_with(run, address, words, ret, parts, without):
    log, notice = notify(run, address, words, ret)
    expect(notice, f"no notice: {log}")
    run.wait(lambda: run.finished(notice), "the notice is under way")
    content = run.stored(f"Original-Envelope-Id: QQ=1+2.{run.identity}")
    for part in ["Original-Recipient: rfc822;first+last=x@elsewhere.test", *parts]:
        expect(part in content, f"no '{part}' in the notice")
    expect(without not in content, f"'{without}' in the notice")
    expect(f"orig_to=<first+last=x@elsewhere.test>" not in log, "ORCPT is taken for an alias")


def dsn_success(run):
    headers = "Content-Type: text/rfc822-headers"
    notice_with(run, INBOX, "SUCCESS", "HDRS", ["Action: delivered", headers], "The text of")


def dsn_failure_full(run):
    parts = ["Action: failed", "Content-Type: message/rfc822", f"The text of {run.identity}"]
    notice_with(run, FAILING, "FAILURE,DELAY", "FULL", parts, "Content-Type: text/rfc822-headers")


def dsn_failure_headers(run):
    parts = ["Action: failed", "Content-Type: text/rfc822-headers"]
    notice_with(run, FAILING, "SUCCESS,FAILURE", "HDRS", parts, "The text of")


def dsn_never(run):
    log, notice = notify(run, FAILING, "NEVER", "FULL")
    expect("status=bounced" in log, f"not bounced: {log}")
    expect(notice is None, "there is a notice")


def dsn_discarded(run):
    """A server that seems to lack DSN: the client owes the report, and sends no parameter."""
    recipient = {"address": FAILING, "notify": "SUCCESS"}
    settings = ["smtp_discard_ehlo_keywords=dsn, silent-discard"]
    verdict = run.sent(POSTFIX, recipient, settings, envid=f"QQ.{run.identity}", ret="HDRS")
    expect(verdict.get("report") == "relayed", f"report: {verdict.get('report')}")
    log = run.postfix_log(verdict)
    # Without NOTIFY the server reports failures only.
    expect("non-delivery notification" in log, f"no notice: {log}")


def utf8(run):
    verdict = run.sent(
        POSTFIX, {"address": "grüße@interop.test"}, sender="jörg@interop.test", smtputf8=True, subject="Grüße"
    )
    run.postfix_log(verdict)
    content = run.stored(f"The text of {run.identity}")
    for part in ("Return-Path: <jörg@interop.test>", "X-Original-To: grüße@interop.test", "with UTF8SMTP", "Subject: Grüße"):
        expect(part in content, f"no '{part}' in the message")


def utf8_refused(run):
    verdict = run.deliver(NO_UTF8, {"address": "grüße@interop.test"}, smtputf8=True)
    text = "SMTPUTF8 is required, but was not offered by host 127.0.0.1[127.0.0.1]"
    expect((verdict["status"], verdict["dsn"], verdict["text"]) == ("bounced", "5.6.7", text), str(verdict))


def utf8_unneeded(run):
    run.sent(NO_UTF8, {"address": INBOX}, smtputf8=True)
    run.stored(f"The text of {run.identity}")


def login(mechanism, password=PASSWORD, *more):
    return [
        "smtp_sasl_auth_enable=yes",
        f"smtp_sasl_password_maps=static:{USER}:{password}",
        "smtp_sasl_security_options=noanonymous",
        f"smtp_sasl_mechanism_filter={mechanism}",
        "debug_peer_list=127.0.0.1",
        *more,
    ]


def postfix_login(mechanism):
    def case(run):
        verdict = run.sent(POSTFIX_AUTH, {"address": INBOX}, login(mechanism))
        log = run.postfix_log(verdict)
        expect(f"sasl_method={mechanism}, sasl_username={USER}" in log, f"not so in the log: {log}")
        run.stored(f"The text of {run.identity}")

    return case


def tls_login(mechanism):
    """Inside TLS, to a server that binds no login to the connection: SCRAM says that it could."""

    def case(run):
        options = ["smtp_tls_security_level=encrypt", "smtp_sasl_tls_security_options=noanonymous"]
        verdict = run.sent(POSTFIX_AUTH, {"address": INBOX}, login(mechanism, PASSWORD, *options))
        log = run.postfix_log(verdict)
        expect(f"sasl_method={mechanism}, sasl_username={USER}" in log, f"not so in the log: {log}")
        expect("with ESMTPSA" in run.stored(f"The text of {run.identity}"), "not inside TLS")

    return case


def tls_resumed(run):
    """Postfix hands out tickets (its tlsmgr has the keys), and takes them back.

    A ticket is used once, and there is no new one with a session that is resumed: the second of three connections has
    one, the third gets one.
    """
    options = [
        "smtp_tls_security_level=encrypt",
        "smtp_tls_loglevel=2",
        "smtp_tls_session_cache_database=btree:unused",
        "smtp_sasl_tls_security_options=noanonymous",
    ]
    run.sent(POSTFIX_AUTH, {"address": INBOX}, login("PLAIN", PASSWORD, *options), copies=3)
    resumed = run.told.count("Reusing old session")
    expect(resumed == 1, f"{resumed} sessions resumed instead of 1")


def certify(scratch):
    """Makes Postfix's key and certificate, before the first connection to the server that needs them."""
    root = scratch / "postfix"
    # It was fetched with Postfix, which needs it for its installation only.
    (package,) = (scratch / "archives").glob("openssl_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=postfix.interop.test"
    both = "/etc/postfix/tls.pem"
    done = subprocess.run(["chroot", root, *make.split(), "-keyout", both, "-out", both + ".new"], capture_output=True)
    if done.returncode != 0:
        sys.exit(f"interop: no certificate: {done.stderr.decode()[-300:]}")
    key, certificate = root / both[1:], root / (both[1:] + ".new")
    key.write_bytes(key.read_bytes() + certificate.read_bytes())


def refused(where, mechanism):
    """The wrong password, with and without smtp_sasl_auth_soft_bounce."""

    def case(run):
        for soft, status, code in (("yes", "deferred", "4"), ("no", "bounced", "5")):
            settings = login(mechanism, "wrong", f"smtp_sasl_auth_soft_bounce={soft}")
            verdict = run.deliver(where, {"address": INBOX}, settings)
            expect((verdict["status"], verdict["dsn"][0]) == (status, code), str(verdict))
            said = "SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535"
            expect(verdict["text"].startswith(said), verdict["text"])
            expect((verdict["scope"], verdict["reply"]["code"]) == ("session", 535), str(verdict))

    return case


def stranger(where):
    """The server wants a login, and there is none to be had: what it says to RCPT is the verdict."""

    def case(run):
        verdict = run.deliver(where, {"address": INBOX})
        expect((verdict["status"], verdict["stage"]) == ("bounced", "rcpt"), str(verdict))

    return case


def exim_login(mechanism):
    def case(run):
        run.sent(EXIM_AUTH, {"address": INBOX}, login(mechanism))
        line = re.compile(rf"A={mechanism.lower().replace(chr(45), chr(95))}:{USER} .*id={run.identity}@")
        run.wait(lambda: line.search(run.log("exim/var/log/exim/mainlog")), "not so in Exim's log")
        run.stored(f"The text of {run.identity}", "exim")

    return case


def lmtp_report(settings, report):
    """Dovecot has no DSN, so that the report on success is the client's to make, or that of whoever is behind it."""

    def case(run):
        recipient = {"address": INBOX, "notify": "SUCCESS", "orcpt": f"rfc822;{INBOX}"}
        verdict = run.sent(DOVECOT, recipient, settings, "lmtp", envid="QQ1", ret="HDRS")
        expect(verdict.get("report") == report, f"report: {verdict.get('report')}")
        run.stored(f"The text of {run.identity}", "dovecot")

    return case


SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256")
SIMPLE = ("PLAIN", "LOGIN", "CRAM-MD5")
# Name, the servers that it takes, what is done.
CASES = [
    ("dsn-success", {"postfix"}, dsn_success),
    ("dsn-failure-full", {"postfix"}, dsn_failure_full),
    ("dsn-failure-headers", {"postfix"}, dsn_failure_headers),
    ("dsn-never", {"postfix"}, dsn_never),
    ("dsn-discarded", {"postfix"}, dsn_discarded),
    ("utf8", {"postfix"}, utf8),
    ("utf8-refused", {"postfix"}, utf8_refused),
    ("utf8-unneeded", {"postfix"}, utf8_unneeded),
    *((f"postfix-{name.lower()}", {"postfix", "dovecot"}, postfix_login(name)) for name in SIMPLE + SCRAM),
    *((f"postfix-{name.lower()}-wrong", {"postfix", "dovecot"}, refused(POSTFIX_AUTH, name)) for name in SIMPLE),
    *((f"postfix-tls-{name.lower()}", {"postfix", "dovecot"}, tls_login(name)) for name in ("PLAIN", *SCRAM)),
    ("postfix-tls-resumed", {"postfix", "dovecot"}, tls_resumed),
    ("postfix-stranger", {"postfix", "dovecot"}, stranger(POSTFIX_AUTH)),
    *((f"exim-{name.lower()}", {"exim"}, exim_login(name)) for name in SIMPLE),
    *((f"exim-{name.lower()}-wrong", {"exim"}, refused(EXIM_AUTH, name)) for name in SIMPLE),
    ("exim-stranger", {"exim"}, stranger(EXIM_AUTH)),
    ("lmtp-relayed", {"dovecot"}, lmtp_report([], "relayed")),
    ("lmtp-delivered", {"dovecot"}, lmtp_report(["lmtp_assume_final=yes"], "delivered")),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("--outpost", "--config", "--scratch"):
        parser.add_argument(name, required=True)
    for name in ("--runtimes", "--servers"):
        parser.add_argument(name, nargs="+", required=True)
    options = parser.parse_args()
    cases = [(name, do) for name, needs, do in CASES if needs <= set(options.servers)]
    if "postfix" in options.servers:
        certify(pathlib.Path(options.scratch))
    wrong = []
    for name, do in cases:
        row = []
        for runtime in options.runtimes:
            run = Run(options, runtime, name)
            try:
                do(run)
                row.append("ok")
            except (Wrong, subprocess.TimeoutExpired) as why:
                wrong.append(f"{name} {runtime}: {why}")
                row.append("wrong")
            for server in ("postfix", "dovecot", "exim"):
                run.take_away(server)
        print("  ".join([name.ljust(28), *(cell.ljust(8) for cell in row)]).rstrip(), flush=True)
    for line in wrong:
        print(line)
    total = len(cases) * len(options.runtimes)
    print(f"interop: {len(wrong)} of {total} features do not work" if wrong else f"interop: all {total} features work")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
