#!/usr/bin/python3
"""Reports about TLS, from deliveries of one day to the mail of the next, and their DKIM signatures as dkimpy sees them.

    reports.py --program PATH

A worker delivers to servers without TLS, whose domains ask for reports. What it has counted is then made that of the day
before, and a second worker, which has a key, reports. Needs Debian's python3-dkim, and root: the workers see a name server of
this script's own in /etc/resolv.conf, in a mount namespace of theirs.
"""

import argparse
import datetime
import pathlib
import socketserver
import sqlite3
import subprocess
import tempfile
import threading

import dkim
import dns.message
import dns.rdatatype
import dns.rrset

NAME_SERVER = "127.0.54.53"
MAIL_SERVER = "127.0.54.25"
SENDER = "mta.queue.example"
SIGNER = "queue.example"
SELECTOR = "tls2026"
# How a key is made, and how much of the front of its public key the record leaves out.
KEYS = {
    "rsa": (["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"], 0),
    "ed25519": (["-algorithm", "ed25519"], 12),
}


class Names(socketserver.BaseRequestHandler):
    """Every domain has the one mail exchanger, and asks for reports."""

    def handle(self):
        packet, answering = self.request
        query = dns.message.from_wire(packet)
        response = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text().lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        domain = name.removeprefix("_smtp._tls.")
        found = {
            ("MX", domain): f"10 mx.{domain}",
            ("A", name if name.startswith("mx.") else None): MAIL_SERVER,
            ("TXT", f"_smtp._tls.{domain}"): f'"v=TLSRPTv1; rua=mailto:tls@{domain.rstrip(".")}"',
        }.get((kind, name))
        if found:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, found))
        answering.sendto(response.to_wire(), self.client_address)


class Mail(socketserver.StreamRequestHandler):
    """A server without STARTTLS, which takes everything."""

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 mx ESMTP")
        to = None
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                to = line.split(b"<", 1)[1].split(b">", 1)[0].decode()
            if verb == b"DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text.removeprefix(b"."))
                self.server.texts[to] = b"".join(lines)
            self.say("221 bye" if verb == b"QUIT" else "250 ok")
            if verb == b"QUIT":
                return


class Trial:
    def __init__(self, program, scratch):
        self.program, self.scratch = program, scratch
        self.store = scratch / "queue.db"
        self.resolv_conf = scratch / "resolv.conf"
        self.resolv_conf.write_text(f"nameserver {NAME_SERVER}\n")
        names = socketserver.ThreadingUDPServer((NAME_SERVER, 53), Names)
        self.mail = socketserver.ThreadingTCPServer((MAIL_SERVER, 0), Mail)
        self.mail.daemon_threads = True
        self.mail.texts = {}
        for server in (names, self.mail):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(self, *words, **settings):
        settings = {"myhostname": SENDER, "inet_interfaces": "127.0.0.1", "smtp_tls_security_level": "may",
                    "smtp_tcp_port": self.mail.server_address[1], **settings}
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        apart = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.resolv_conf]
        command = [*apart, self.program, *words, "--store", self.store, *options]
        done = subprocess.run(command, input="Subject: hello\n\nHi.\n", text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=120)
        assert done.returncode == 0, (words, done.returncode, done.stderr)

    def key(self, kind):
        """Makes a key; returns its file and its record."""
        options, prefix = KEYS[kind]
        file = self.scratch / f"{kind}.pem"
        subprocess.run(["openssl", "genpkey", *options, "-out", file], check=True, stderr=subprocess.DEVNULL)
        command = ["openssl", "pkey", "-in", file, "-pubout", "-outform", "DER"]
        public = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout[prefix:]
        encoded = subprocess.run(["openssl", "base64", "-A"], input=public, check=True, stdout=subprocess.PIPE).stdout
        return file, f"v=DKIM1; k={kind}; s=tlsrpt; p=".encode() + encoded

    def age(self, domain):
        """Makes the counts of a domain those of the day before, whose first reports are due at once."""
        day = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)).date()
        with sqlite3.connect(self.store) as connection:
            counted = connection.execute("UPDATE shared SET topic = ? WHERE topic LIKE 'tlsrpt 20%' AND topic LIKE ?",
                                         (f"tlsrpt {day} {domain}", f"% {domain}"))
            known = connection.execute("UPDATE shared SET topic = ? WHERE topic LIKE 'tlsrpt-domains %' AND key = ?",
                                       (f"tlsrpt-domains {day} 0", domain))
            assert (counted.rowcount, known.rowcount) == (1, 1), (domain, counted.rowcount, known.rowcount)

    def report(self, kind):
        """The report that a worker with a key sends, and the record of the key."""
        domain = f"{kind}.example"
        self.run("submit", "-f", f"me@{SENDER}", f"a@{domain}")
        self.run("run", "--drain", "--tls-reports")
        self.age(domain)
        file, record = self.key(kind)
        self.run("run", "--drain", "--tls-reports", queue_tls_report_dkim_key_file=file,
                 queue_tls_report_dkim_selector=SELECTOR, queue_tls_report_dkim_domain=SIGNER)
        return self.mail.texts[f"tls@{domain}"], record


def verifies(text, record):
    def look_up(name, timeout=5):
        assert name.rstrip(b".") == f"{SELECTOR}._domainkey.{SIGNER}".encode(), name
        return record

    # A report has to be signed with a key that is for reports.
    return dkim.verify(text, dnsfunc=look_up, tlsrpt="strict")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reports.") as scratch:
        trial = Trial(options.program, pathlib.Path(scratch))
        for kind in KEYS:
            text, record = trial.report(kind)
            assert text.startswith(b"DKIM-Signature: ") and b"\r\nTLS-Report-Domain: " + kind.encode() in text, text
            assert verifies(text, record), text
            for old, new in [
                (b"\r\n\r\n--", b"\r\n\r\nMore.\r\n--"),
                (b"\r\nSubject: Report", b"\r\nSubject: No report"),
                (b"\r\nFrom: ", b"\r\nFrom: somebody@else.example\r\nFrom: "),
            ]:
                changed = text.replace(old, new, 1)
                assert changed != text and not verifies(changed, record), (kind, new)
            assert not verifies(text, record.replace(b"s=tlsrpt", b"s=email")), kind
            print(f"reports: {kind}: dkimpy takes the signature of the report, and none of what was changed")


if __name__ == "__main__":
    main()
