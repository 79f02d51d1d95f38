"""Certificates, zones and signatures for the DANE tests, made by OpenSSL and ldns in the servers' root folder."""

import base64
import hashlib
import re
import subprocess

from cases import CASES, SERVERS, ZONES

CERTIFICATES = "/etc/postfix/certificates"
FOLDER = "/etc/dane"


class World:
    def __init__(self, root):
        self.root = root

    def prepare(self):
        for folder in (CERTIFICATES, FOLDER):
            self.path(folder).mkdir(parents=True, exist_ok=True)
        self.certificates()
        self.listeners()
        self.zones()

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def run(self, folder, *command):
        """A command in the root folder; its output."""
        shell = ["chroot", str(self.root), "/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OPENSSL_CONF": "/dev/null"}
        done = subprocess.run(shell, env=environment, capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit(f"interop: {' '.join(command)}: {done.stderr.decode()}")
        return done.stdout

    def openssl(self, *words):
        return self.run(CERTIFICATES, "openssl", *words)

    def certificates(self):
        hosts = ",".join(f"DNS:{case.host}" for case in CASES)
        self.request("ca", "Test Authority")
        self.extensions("ca", "basicConstraints=critical,CA:true", "keyUsage=keyCertSign")
        self.openssl("x509", "-req", "-in", "ca.csr", "-key", "ca.key", "-days", "2", "-extfile", "ca.ext", "-out", "ca.pem")
        for name, names, issuer, days in (
            ("leaf", hosts, "ca", "2"),
            ("renewed", hosts, "ca", "2"),
            ("expired", hosts, "ca", "-1"),
            ("named", "DNS:another.dane.test", "ca", "2"),
            ("self", hosts, None, "2"),
        ):
            self.request(name, "mail server")
            self.extensions(name, f"subjectAltName={names}", "basicConstraints=CA:false")
            by = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else ["-key", f"{name}.key"]
            self.openssl("x509", "-req", "-in", f"{name}.csr", *by, "-CAcreateserial", "-days", days, "-extfile", f"{name}.ext",
                         "-out", f"{name}.pem")

    def request(self, name, subject):
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "request.cnf",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")

    def extensions(self, name, *lines):
        (self.path(CERTIFICATES) / f"{name}.ext").write_text("\n".join(lines) + "\n")

    def listeners(self):
        """A mail server for each certificate."""
        lines = []
        for name, number in SERVERS.items():
            line = f"127.0.52.{number}:12525 inet n - n - - smtpd -o cleanup_service_name=arrived"
            if name == "none":
                line += " -o smtpd_tls_security_level=none"
            else:
                stem = "leaf" if name == "alone" else name
                files = [f"{stem}.key", f"{stem}.pem"] + ([] if name in ("alone", "self") else ["ca.pem"])
                folder = self.path(CERTIFICATES)
                (folder / f"{name}.chain").write_text("".join((folder / file).read_text() for file in files))
                line += f" -o smtpd_tls_chain_files={CERTIFICATES}/{name}.chain"
            lines.append(line)
        with open(self.path("/etc/postfix/master.cf"), "a") as file:
            file.write("\n".join(lines) + "\n")
        # Each destination at our port, by the service with its level.
        services = {"dane": "smtp", "dane-only": "only"}
        transport = [f"{case.domain} {services[case.level]}:{case.domain}:12525" for case in CASES]
        self.path("/etc/postfix/transport").write_text("\n".join(transport) + "\n")

    def tlsa(self, text):
        """The data of a TLSA record."""
        usage, selector, matching, name, *change = text.split()
        certificate = self.openssl("x509", "-in", f"{name}.pem", "-outform", "DER")
        key = self.openssl("pkey", "-in", f"{name}.key", "-pubout", "-outform", "DER")
        data = key if selector == "1" else certificate
        if matching != "0":
            data = (hashlib.sha512 if matching == "2" else hashlib.sha256)(data).digest()
        if change == ["xor"]:
            data = data[:-1] + bytes([data[-1] ^ 1])
        elif change:
            data = data[: int(change[0])]
        return f"{usage} {selector} {matching} {data.hex()}"

    def lines(self, case):
        """The records of a destination."""
        usual = ("{domain} MX 0 {host}", "{host} A {address}")
        words = {"domain": case.domain + ".", "host": case.host + ".", "address": case.address}
        yield from (line.format(**words) for line in case.lines or usual)
        for text in case.tlsa:
            yield f"_12525._tcp.{case.host}. TLSA {self.tlsa(text)}"

    def zones(self):
        delegations = []
        for zone in ZONES:
            lines = [line for case in CASES if case.zone == zone for line in self.lines(case)]
            self.write_zone(zone, lines)
            delegations.append(f"{zone}. NS ns.")
            if zone == "plain.test":
                continue
            dates = ["-i", "20200101000000", "-e", "20200201000000"] if zone == "stale.test" else []
            signers = self.sign(zone, f"{zone}.", dates)
            if zone == "broken.test":
                # The parent vouches for a key that the zone does not have.
                signers = self.keys(f"{zone}.")
            delegations.append(self.run(FOLDER, "ldns-key2ds", "-n", "-2", f"{signers}.key").decode().strip())
        self.spoil()
        self.write_zone("root", ["ns. A 127.0.0.1"] + delegations, ".")
        anchor = self.sign("root", ".", [])
        (self.path(FOLDER) / "anchor").write_bytes((self.path(FOLDER) / f"{anchor}.key").read_bytes())

    def write_zone(self, name, lines, origin=None):
        origin = origin or f"{name}."
        head = [f"$ORIGIN {origin}", "$TTL 300", f"{origin} SOA ns. hostmaster. 1 3600 600 86400 60", f"{origin} NS ns."]
        (self.path(FOLDER) / f"{name}.zone").write_text("\n".join(head + lines) + "\n")

    def keys(self, origin):
        return self.run(FOLDER, "ldns-keygen", "-r", "/dev/urandom", "-k", "-a", "ECDSAP256SHA256", origin).decode().strip()

    def sign(self, name, origin, dates):
        """Signs a zone; returns the name of the key, without a suffix."""
        key = self.keys(origin)
        self.run(FOLDER, "ldns-signzone", *dates, "-o", origin, "-f", f"{name}.zone.signed", f"{name}.zone", key)
        return key

    def spoil(self):
        """Changes a bit of some signatures."""
        path = self.path(FOLDER) / "dane.test.zone.signed"
        text = path.read_text()
        for case in (case for case in CASES if case.spoilt):
            owner = {"MX": case.domain, "A": case.host, "TLSA": f"_12525._tcp.{case.host}"}[case.spoilt]
            pattern = re.compile(rf"^({re.escape(owner)}\.\s.*\sRRSIG\s+{case.spoilt}\s.*\s)(\S+)$", re.MULTILINE)
            text, count = pattern.subn(lambda found: found[1] + flipped(found[2]), text)
            if count != 1:
                raise SystemExit(f"interop: {count} signatures of {case.spoilt} at {owner}")
        path.write_text(text)


def flipped(signature):
    data = bytearray(base64.b64decode(signature))
    data[7] ^= 1
    return base64.b64encode(data).decode()
