"""Differences that are explained: deviations from Postfix that ARCHITECTURE.md lists, and artefacts of the tools.

A reason holds only if nothing else differs than what it speaks of. When a row leaves the table of deviations, its
explanation goes from here too.
"""

import base64
import re

from comparison import compare


def explain(scenario, ours, theirs):
    """A short reason, or None. `scenario` expects what Postfix did; `ours` and `theirs` are what was observed."""
    if crash := re.search(r"process (.*killed by signal \d+)", theirs["stderr"]):
        # tlsproxy(8) of Debian's 3.7.11 does, now and then.
        return f"Postfix: {crash[1]}"
    for reason in REASONS:
        if found := reason(scenario, ours, theirs):
            return found
    return None


def verdicts(result):
    """Path and verdict of every recipient."""
    for i, request in enumerate(result["recipients"]):
        for j, one in enumerate(request):
            yield f"recipients[{i}][{j}]", one


def equal_but(scenario, ours, paths):
    return not compare({**scenario, "ignore": scenario.get("ignore", []) + paths}, ours)


def equal_after(scenario, ours, pattern, replacement):
    """Equality after a change of all texts on both sides."""
    changed = {**scenario, "expect": replaced(scenario["expect"], pattern, replacement)}
    return not compare(changed, replaced(ours, pattern, replacement))


def replaced(value, pattern, replacement):
    if isinstance(value, str):
        return re.sub(pattern, replacement, value)
    if isinstance(value, list):
        return [replaced(one, pattern, replacement) for one in value]
    if isinstance(value, dict):
        return {name: replaced(one, pattern, replacement) for name, one in value.items()}
    return value


def fatal(scenario, ours, theirs):
    """A bad destination, generic maps that fail: Postfix's process ends without a record, here mail is deferred."""
    ends = re.findall(r"fatal: (.*)", theirs["stderr"])
    silent = [path for path, one in verdicts(scenario["expect"]) if one["status"] == "none"]
    if not ends or not silent or ours.get("error"):
        return None
    mine = [one for path, one in verdicts(ours) if path in silent]
    if not all(one["status"] in ("deferred", "undeliverable") and one["dsn"] in ("4.3.5", "4.3.0") for one in mine):
        return None
    paths = list(silent)
    if any(re.search("generic|local data", one["text"]) for one in mine):
        # Postfix notices in the middle of the dialogue.
        paths.append("sessions")
    return f"Postfix ends: {ends[0][:80]}" if equal_but(scenario, ours, paths) else None


def refused_table(scenario, ours, theirs):
    if ours.get("exit") == 78 and re.search("unsupported dictionary type| is unavailable[.] ", theirs["stderr"]):
        return "a table that cannot be opened is refused"
    return None


def refused_setting(scenario, ours, theirs):
    """Words that Postfix warns of when they are used: the configuration is refused, as a slip must not weaken it."""
    refused = re.findall(r"main[.]cf: line \d+: (\w+): ", ours["stderr"])
    parts = r"tls_(mandatory_)?(protocols|exclude_ciphers)|tls_fingerprint_digest"
    deviating = rf"(smtp|lmtp)_({parts}|helo_name|lhlo_name)|tls_dane_digests|my(hostname|domain|origin)"
    if ours.get("exit") == 78 and refused and all(re.fullmatch(deviating, name) for name in refused):
        return f"{refused[0]} that cannot be read is refused"
    return None


def missing_reply(scenario, ours, theirs):
    """The 221 to QUIT where a recipient's reply should be."""
    if scenario["protocol"] != "lmtp":
        return None
    sent = [(path, one) for path, one in verdicts(scenario["expect"]) if one["status"] == "sent"]
    paths = [path for path, one in sent if re.search(r"(^| )221 2\.0\.0 Bye$", one["text"])]
    # The next server may get the recipient then.
    if paths and equal_but(scenario, ours, ["sessions", *paths]):
        return "an LMTP reply too few: 221 is no acceptance"
    return None


def out_of_step(scenario, ours, theirs):
    """A server that says more than it is asked for, on a connection that is kept.

    Postfix forgets what it has read by then, and takes the rest for the next replies; here the rest speaks against the
    connection. So it depends on how the replies arrive what becomes of later requests.
    """
    sessions = [*scenario["expect"]["sessions"], *ours["sessions"]]
    kept = any(["C", "RSET"] in one["transcript"] for one in sessions)
    later = [path for path, _ in verdicts(scenario["expect"]) if not path.startswith("recipients[0]")]
    too_much = any(says_too_much(one, scenario["protocol"]) for one in sessions)
    if kept and later and too_much and equal_but(scenario, ours, ["sessions", *later]):
        return "replies that nobody asked for on a kept connection"
    return None


def says_too_much(session, protocol):
    """Whether there are more replies than commands at some point, in LMTP than recipients for an end of text."""
    wanted, recipients = 1, 0
    for who, text in session["transcript"]:
        if who == "C":
            recipients = 0 if text.startswith("MAIL ") else recipients + text.startswith("RCPT ")
            wanted += max(1, recipients) if (text, protocol) == (".", "lmtp") else 1
        elif who == "S" and re.match(r"\d{3}( |$)", text):
            wanted -= 1
            if wanted < 0:
                return True
    return False


def size_before_tls(scenario, ours, theirs):
    """A SIZE limit from before STARTTLS, which nobody inside TLS has repeated."""
    said = {one["text"] for _, one in verdicts(ours)}
    only_theirs = [(path, one) for path, one in verdicts(scenario["expect"]) if one["text"] not in said]
    over = [path for path, one in only_theirs if "exceeds size limit" in one["text"]]
    secured = any(entry[0] == "T" for session in scenario["expect"]["sessions"] for entry in session["transcript"])
    if secured and over and equal_but(scenario, ours, ["sessions", *over]):
        return "a SIZE limit from before STARTTLS"
    return None


def address_as_sni(scenario, ours, theirs):
    if equal_after(scenario, ours, r"sni=(?:[\d.]+|[0-9a-f:]+|none) ", "sni=- "):
        return "no address in SNI"
    return None


def channel_binding(scenario, ours, theirs):
    """SCRAM says `y` inside TLS where the server offers no -PLUS."""
    if equal_after(scenario, ours, r"\[[ny],|\[c=[^,]*,", "[-,"):
        return "SCRAM tells of channel binding"
    return None


def few_iterations(scenario, ours, theirs):
    """SCRAM with fewer iterations than RFC 7677 wants at least: no proof is given away for them."""
    counts = [int(count) for count in re.findall(r"\[r=\*,s=[^,]*,i=(\d+)\]", str(scenario["expect"]["sessions"]))]
    refused = [path for path, one in verdicts(ours) if "bad protocol / cancel" in one["text"]]
    if refused and any(count < 4096 for count in counts) and equal_but(scenario, ours, ["sessions", *refused]):
        return "SCRAM with too few iterations"
    return None


def token(scenario, ours, theirs):
    """OAUTHBEARER and XOAUTH2, which Debian's Cyrus SASL does not have, where a server offers nothing else."""
    wanted = verdicts(scenario["expect"])
    missing = [path for path, one in wanted if re.search(r"no mechanism available\)?$", one["text"])]
    used = re.search(r"'AUTH (XOAUTH2|OAUTHBEARER) ", str(ours["sessions"]))
    if used and missing and equal_but(scenario, ours, ["sessions", *missing]):
        return "a mechanism for tokens"
    return None


def passed_over(scenario, ours, theirs):
    """smtp_tls_wrappermode below `encrypt`: all servers are passed over, the verdict is left from a look-up."""
    paths = [path for path, one in verdicts(ours) if one["text"] == "server unavailable or unable to receive mail"]
    if "tls_wrappermode requires" in theirs["stderr"] and paths and equal_but(scenario, ours, paths):
        return "servers passed over for smtp_tls_wrappermode"
    return None


def anonymous_trace(scenario, ours, theirs):
    """AUTH ANONYMOUS names the host as mail knows it."""
    if equal_after(scenario, ours, r"^AUTH ANONYMOUS .*", "AUTH ANONYMOUS -"):
        return "AUTH ANONYMOUS names myhostname"
    return None


def quoted_all_the_same(scenario, ours, theirs):
    """A local part that could end its path, with smtp_quote_rfc821_envelope = no."""
    bare = scenario["params"].get(f"{scenario['protocol']}_quote_rfc821_envelope") == "no"
    if bare and equal_after(scenario, ours, r'<"([^"]*[<>\x00-\x1f\x7f][^"]*)"(?=[@>])', r"<\1"):
        return "a local part that could end its path is quoted"
    return None


def inner_anchor(scenario, ours, theirs):
    """^ and $ in the middle of a regexp: expression, around the line break of a folded header."""
    checks = " ".join(value for name, value in scenario["params"].items() if name.endswith("_checks"))
    names = re.findall(r"regexp:\$\{config_directory\}/(\w+)", checks)
    lines = "".join(scenario["files"].get(name, "") for name in names).splitlines()
    inside = any(has_inner_anchor(line) for line in lines)
    folded = any(b"\n " in base64.b64decode(one["message_base64"]) for one in scenario["requests"])
    if inside and folded and equal_but(scenario, ours, ["sessions[*].data_base64"]):
        return "an anchor inside an expression and a folded header"
    return None


def has_inner_anchor(line):
    expression = re.match(r"!?/((?:[^/\\]|\\.)*)/", line)
    # Without what is escaped, and without classes.
    bare = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", expression[1]) if expression else ""
    return re.search(r"[\^$]", bare[1:-1]) is not None


def renamed_header(scenario, ours, theirs):
    """REPLACE gives a header of addresses another name, and Postfix's generic maps go by the one that it had."""
    changes = re.findall(r": replace: header ([!-9;-~]+):.*: ([!-9;-~]+): [^:]*$", theirs["stderr"], re.MULTILINE)
    renamed = any(old.lower() != new.lower() for old, new in changes)
    mapped = any(name.endswith("generic_maps") for name in scenario["params"])
    if renamed and mapped and equal_but(scenario, ours, ["sessions[*].data_base64"]):
        return "generic maps and a header that REPLACE has renamed"
    return None


def passed_apart(scenario, ours, theirs):
    """best_mx_transport gets each recipient in a delivery of its own."""
    passed = re.findall(r"(\w+): passing <.*> to transport=", theirs["stderr"])
    if len(passed) > len(set(passed)) and equal_but(scenario, ours, ["sessions", "recipients[*][*].text"]):
        return "one delivery for all that best_mx_transport gets"
    return None


REASONS = [
    fatal, refused_table, refused_setting, missing_reply, size_before_tls, address_as_sni, channel_binding, few_iterations,
    token, anonymous_trace, inner_anchor, renamed_header, passed_apart, passed_over, out_of_step,
    quoted_all_the_same,
]
