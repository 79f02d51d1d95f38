"""Short forms for what scenarios carry: base64, certificates, fingerprints, TLSA records."""

import base64
import hashlib
import pathlib

# Stands for the folder of main.cf, which is another one in every run.
PLACE = "${config_directory}"

_certificates = None


def use_certificates(folder):
    """Says where certificates.py has written."""
    global _certificates
    _certificates = pathlib.Path(folder)


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def pem(name, kind="crt"):
    return (_certificates / f"{name}.{kind}").read_text()


def tls(name, chain=()):
    """The `tls` of a scripted server."""
    return {"certificate": "".join(pem(one) for one in (name, *chain)), "key": pem(name, "key")}


def certificate_bytes(name):
    return (_certificates / f"{name}.der").read_bytes()


def key_bytes(name):
    """The subject's public key information."""
    return (_certificates / f"{name}.spki").read_bytes()


def colons(data):
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(data).digest())


def fingerprint(name):
    return colons(certificate_bytes(name))


def key_fingerprint(name):
    return colons(key_bytes(name))


def tlsa(name, usage=3, selector=1, matching=1):
    data = key_bytes(name) if selector else certificate_bytes(name)
    value = data.hex() if matching == 0 else hashlib.new({1: "sha256", 2: "sha512"}[matching], data).hexdigest()
    return [usage, selector, matching, value]
