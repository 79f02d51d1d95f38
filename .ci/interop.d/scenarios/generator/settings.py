"""Settings that change one thing each, and other spellings of the same value."""

from forms import PLACE
from generator.dice import Dice

# Parameters of the client that delivers (`smtp_NAME` or `lmtp_NAME`), with values to choose from.
OWN = {
    "always_send_ehlo": ["no"],
    "helo_name": ["out.example.org", "[127.0.0.1]", "x"],
    "skip_5xx_greeting": ["no"],
    "skip_quit_response": ["yes", "no", "no"],
    "send_xforward_command": ["yes"],
    "line_length_limit": ["0", "20", "50", "76", "100", "990", "998", "1000", "2047", "2048", "2049", "4096"],
    "quote_rfc821_envelope": ["no"],
    "mx_address_limit": ["0", "1", "2", "3"],
    "mx_session_limit": ["0", "1", "2", "3"],
    "address_preference": ["ipv4", "ipv6", "any"],
    "balance_inet_protocols": ["no"],
    "dns_support_level": ["enabled", "dnssec", "disabled"],
    "defer_if_no_mx_address_found": ["yes"],
    "bind_address": ["127.0.0.77"],
    "bind_address6": ["::1"],
    "bind_address_enforce": ["yes"],
    "address_verify_target": ["rcpt", "data"],
    "per_request_deadline": ["yes"],
    "min_data_rate": ["1"],
    "connection_reuse_count_limit": ["1", "2", "3"],
    "connection_reuse_time_limit": ["1s", "100s"],
    "connection_cache_on_demand": ["yes", "no"],
    "send_dummy_mail_auth": ["yes"],
    "pix_workarounds": ["", "disable_esmtp", "delay_dotcrlf", "disable_esmtp delay_dotcrlf"],
    "tls_note_starttls_offer": ["yes"],
    "use_tls": ["yes"],
    "randomize_addresses": ["no"],
    "cname_overrides_servername": ["yes"],
    "host_lookup": ["dns", "native", "dns, native", "native, dns"],
    "dns_resolver_options": ["res_defnames", "res_dnsrch"],
    "assume_final": ["yes"],
}
# Parameters that both clients share.
SHARED = {
    "soft_bounce": ["yes"],
    "disable_mime_output_conversion": ["yes"],
    "mime_nesting_limit": ["1", "2", "3"],
    "mime_boundary_length_limit": ["1", "3", "5"],
    "header_size_limit": ["20", "60", "200", "1000"],
    "recipient_delimiter": ["+", "+-"],
    "ignore_mx_lookup_error": ["yes"],
    "disable_dns_lookups": ["yes"],
    "compatibility_level": ["1", "2", "3.6", "3.7"],
    "myorigin": ["origin.example"],
    "append_dot_mydomain": ["yes"],
    "proxy_interfaces": ["127.0.0.12", "127.0.0.11", "127.0.0.99"],
    "mydestination": ["example.com", ""],
    "myhostname": ["mx1.example.com", "client"],
}
KEYWORDS = [
    "pipelining", "8bitmime", "dsn", "size", "smtputf8", "xforward", "auth", "starttls", "silent-discard",
    "ENHANCEDSTATUSCODES", "vrfy", "etrn", "chunking",
]
STAGES = ["connect", "helo", "mail", "rcpt", "data_init", "data_done", "rset", "quit", "xforward"]


class Settings(Dice):
    """Lines of main.cf."""

    def own(self, name, value):
        """Sets a parameter of the client that delivers."""
        if self.protocol == "lmtp":
            name = name.replace("helo_", "lhlo_").replace("_ehlo_", "_lhlo_")
        self.params[f"{self.protocol}_{name}"] = value

    def shared(self, name, value):
        self.params[name] = value

    def has(self, name):
        return f"{self.protocol}_{name}" in self.params

    def change_settings(self):
        """Some settings that have nothing to do with each other."""
        single = [(self.own, name, values) for name, values in OWN.items()]
        single += [(self.shared, name, values) for name, values in SHARED.items()]
        several = [
            self.never_ehlo, self.discard_keywords, self.discard_by_address, self.family, self.no_utf8, self.pix_maps,
            self.best_mx,
        ]
        for _ in range(self.weigh([(0, 12), (1, 25), (2, 28), (3, 18), (4, 10), (6, 7)])):
            change = self.pick(single + several)
            if isinstance(change, tuple):
                change[0](change[1], self.pick(change[2]))
            else:
                change()
        self.params.setdefault(f"{self.protocol}_pix_workaround_delay_time", "1s")

    def never_ehlo(self):
        if self.protocol == "smtp":
            self.own("never_send_ehlo", "yes")

    def discard_keywords(self):
        self.own("discard_ehlo_keywords", self.pick([", ", " ", ","]).join(self.some(KEYWORDS, 1, 4)))

    def discard_by_address(self):
        values = ["pipelining", "dsn, 8bitmime", "silent-discard size", "auth", "starttls"]
        self.own("discard_ehlo_keyword_address_maps", self.address_table(values))

    def pix_maps(self):
        self.own("pix_workaround_maps", self.address_table(["disable_esmtp", "bogus", "delay_dotcrlf"]))

    def address_table(self, values):
        """A table that is asked for addresses of servers."""
        if self.chance(0.7):
            return "inline:{{127.0.0.11 = %s}}" % self.pick(values)
        name = f"cidr{len(self.files)}"
        blocks = self.some(
            ["127.0.0.11", "127.0.0.0/28", "127.0.0.12/32", "!127.0.0.12", "0.0.0.0/0", "::/0", "::1", "fd00::/64",
             "127.0.0.8/29", "if 127.0.0.0/8", "if !127.0.0.11", "127.0.0.11/8", "[::1]/128", "::ffff:127.0.0.11"], 1, 4,
        )
        lines = []
        for block in blocks:
            lines.append(block if block.startswith("if ") else f"{block} {self.pick(values)}")
        lines += ["endif"] * sum(block.startswith("if ") for block in blocks)
        self.files[name] = "".join(line + "\n" for line in lines)
        self.tags.append("cidr")
        return f"cidr:{PLACE}/{name}"

    def family(self):
        if self.chance(0.3):
            self.shared("inet_protocols", "ipv6")
            self.shared("inet_interfaces", "all")
        else:
            self.shared("inet_protocols", "ipv4")

    def no_utf8(self):
        if self.chance(0.2):
            self.shared("smtputf8_enable", "no")

    def best_mx(self):
        if self.chance(0.1):
            self.shared("best_mx_transport", self.pick(["", f"lmtp:unix:{PLACE}/none.sock"]))

    def respell(self):
        """Other spellings of the same values: case, blanks, references, table types."""
        for name, value in list(self.params.items()):
            if value in ("yes", "no") and self.chance(0.3 if self.focus == "maps" else 0.08):
                other = {"yes": "no", "no": "yes"}[value]
                spellings = [
                    value.upper(), value.title(), "${nosuch?x}" + value, "$my_" + value, "${nosuch:%s}" % value,
                    "${myhostname?{%s}:{%s}}" % (value, other), "${nosuch?{%s}:{%s}}" % (other, value),
                    "${{$myhostname} == {%s} ? {%s} : {%s}}" % (self.params["myhostname"], value, other),
                    "${{10} < {9} ? {%s} : {%s}}" % (other, value), "$(nosuch:%s)" % value, "\n" + value, value + " ",
                    "${{$compatibility_level} <level {3.5} ? {%s} : {%s}}" % (other, value),
                ]
                self.params[name] = self.pick(spellings)
                if "$my_" in self.params[name]:
                    self.params["my_" + value] = value
            elif name.endswith("_timeout") and self.chance(0.03):
                self.params[name] = value.rstrip("s")
            elif name.endswith(("_maps", "_checks", "_filter")) and ":" in value and "{" not in value:
                if self.chance(0.6 if self.focus == "maps" else 0.12):
                    self.params[name] = self.wrapped(value)

    def wrapped(self, table):
        """The same table behind another type of table, or next to one that has nothing to say."""
        self.tags.append("tabletype")
        other = "inline:{ {nokey = noval} }"
        return self.pick(
            ["unionmap:{%s}" % table, "unionmap:{ %s, inline:{nobody@nowhere=x@y} }" % table, "pipemap:{%s}" % table,
             "inline:{nobody@nowhere=x@y} " + table, table + ", " + other, table + " ", other + ", " + table]
        )

    def limits(self):
        """Time limits that fit how often servers are silent here."""
        for stage in STAGES:
            self.own(stage + "_timeout", "2s" if self.stall else "4s")
        if self.has("per_request_deadline"):
            for name in list(self.params):
                if name.endswith("_timeout") and not name.startswith("tls"):
                    self.params[name] = "8s"
