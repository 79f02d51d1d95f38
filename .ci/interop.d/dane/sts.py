"""MTA-STS (RFC 8461) between the program, the zones of the DANE tests and an HTTPS server of our own.

A destination is `sts-NAME.plain.test`, whose policy is at `https://mta-sts.sts-NAME.plain.test/`.
"""

import dataclasses
import http.server
import ssl
import threading

ZONE = "plain.test"
WEB = "127.0.52.60"
# The addresses of cases.SERVERS: with the names of the hosts, for another name, and without STARTTLS.
LEAF, NAMED, NONE = "127.0.52.1", "127.0.52.4", "127.0.52.7"


@dataclasses.dataclass(frozen=True)
class Policy:
    name: str
    address: str
    # The policy: its mode, and the pattern for servers; None: there is no such page.
    mode: str
    mx: str
    status: str
    # Whether the message comes by TLS.
    tls: bool = True

    @property
    def domain(self):
        return f"sts-{self.name}.{ZONE}"

    @property
    def nexthop(self):
        """Policies are for mail exchangers, and so for port 25."""
        return self.domain

    @property
    def host(self):
        return f"mx-sts-{self.name}.{ZONE}"

    @property
    def page(self):
        return f"version: STSv1\r\nmode: {self.mode}\r\nmx: {self.mx}\r\nmax_age: 86400\r\n".encode()


POLICIES = [
    Policy("enforce", LEAF, "enforce", "*.plain.test", "sent"),
    Policy("wrong-mx", LEAF, "enforce", "mx.elsewhere.test", "deferred"),
    Policy("wrong-name", NAMED, "enforce", "*.plain.test", "deferred"),
    Policy("no-starttls", NONE, "enforce", "*.plain.test", "deferred"),
    Policy("testing", NAMED, "testing", "mx.elsewhere.test", "sent"),
    Policy("testing-clear", NONE, "testing", "*.plain.test", "sent", tls=False),
    Policy("mode-none", NAMED, "none", "*.plain.test", "sent"),
    Policy("no-page", NAMED, None, "", "sent"),
]


def hosts():
    """The names that certificates need."""
    return [name for one in POLICIES for name in (one.host, f"mta-sts.{one.domain}")]


def lines():
    """The records of the zone."""
    for one in POLICIES:
        yield f"{one.domain}. MX 0 {one.host}."
        yield f"{one.host}. A {one.address}"
        yield f"mta-sts.{one.domain}. A {WEB}"
        yield f'_mta-sts.{one.domain}. TXT "v=STSv1; id=1;"'


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        pages = {f"mta-sts.{one.domain}": one.page for one in POLICIES if one.mode}
        page = pages.get(self.headers.get("Host", "").split(":")[0])
        good = page is not None and self.path == "/.well-known/mta-sts.txt"
        self.send_response(200 if good else 404)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        if good:
            self.wfile.write(page)

    def log_message(self, *_):
        pass


def serve(certificates):
    """Serves the policies until the process ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "leaf.chain", certificates / "leaf.key")
    server = http.server.ThreadingHTTPServer((WEB, 443), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
