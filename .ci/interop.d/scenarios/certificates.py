"""The certificates of the scenarios, made anew for every run with the program `openssl`.

Scenarios carry the certificates that they use, so that a recording does not depend on this.
"""

import pathlib
import subprocess

# name, subject, names, issuer, days
AUTHORITIES = [
    ("ca", "Example Test CA", None),
    ("ca2", "Another Test CA", None),
    ("inter", "Example Issuing CA", "ca"),
]
SERVERS = [
    ("mx1", "mx1.example.com", ["mx1.example.com"], "ca", 3650),
    ("mx2", "mx2.example.com", ["mx2.example.com"], "ca", 3650),
    ("dom", "example.com", ["example.com"], "ca", 3650),
    ("wild", "wildcard", ["*.example.com"], "ca", 3650),
    ("cnonly", "mx1.example.com", [], "ca", 3650),
    ("other", "other.example.org", ["other.example.org"], "ca", 3650),
    ("client", "client.example.org", ["client.example.org"], "ca", 3650),
    ("inter_mx1", "mx1.example.com", ["mx1.example.com"], "inter", 3650),
    ("untrusted", "mx1.example.com", ["mx1.example.com"], "ca2", 3650),
    ("self", "mx1.example.com", ["mx1.example.com"], None, 3650),
    ("expired", "mx1.example.com", ["mx1.example.com"], "ca", -1),
]


class Maker:
    """Writes NAME.key, NAME.crt, NAME.der and NAME.spki into a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def make_all(self):
        for name, subject, issuer in AUTHORITIES:
            self.make(name, subject, ["basicConstraints=critical,CA:TRUE"], issuer, 3650)
        for name, subject, names, issuer, days in SERVERS:
            extensions = ["basicConstraints=critical,CA:FALSE"]
            if names:
                extensions.append("subjectAltName=" + ",".join(f"DNS:{one}" for one in names))
            self.make(name, subject, extensions, issuer, days)

    def make(self, name, subject, extensions, issuer, days):
        extensions = [*extensions, "subjectKeyIdentifier=hash"]
        if issuer:
            extensions.append("authorityKeyIdentifier=keyid")
        (self.folder / "extensions").write_text("\n".join(extensions) + "\n")
        key, request, certificate = f"{name}.key", f"{name}.csr", f"{name}.crt"
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        self.openssl("req", "-new", "-key", key, "-subj", f"/CN={subject}", "-out", request)
        by = ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial"] if issuer else ["-signkey", key]
        more = ["-days", str(days), "-extfile", "extensions"]
        self.openssl("x509", "-req", "-in", request, *by, *more, "-out", certificate)
        self.openssl("x509", "-in", certificate, "-outform", "DER", "-out", f"{name}.der")
        self.openssl("pkey", "-in", key, "-pubout", "-outform", "DER", "-out", f"{name}.spki")

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr.strip()}")
