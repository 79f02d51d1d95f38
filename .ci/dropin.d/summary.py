#!/usr/bin/env python3
"""Compares what an analyser of logs counts, when the same mail goes through Postfix's own agents and through another program.

    summary.py --agent PROGRAM [--args mode=shared]…

Mail of all fates goes through a private Postfix: sent, bounced and deferred, several recipients, TLS, LMTP, servers that are down and
domains that are not there. pflogsumm(1) has to say the same about the logs, to the letter. Times and sizes are taken out before:
they are chance, and no agent logs sizes. Exit status 1 if anything differs. See harness.py for the private Postfix, and what it needs.
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile

import harness

CASE = {
    'title': 'mail of all fates',
    'transport': 'tls.test smtp:[127.0.0.1]:2502\nbox.test lmtp:[127.0.0.1]:2503\ndown.test smtp:[127.0.0.1]:2509\nnone.test smtp:none.test\n'
                 '* smtp:[127.0.0.1]:2501\n',
    'main_cf': {'smtp_tls_security_level': 'may', 'smtp_tls_loglevel': '1', 'address_verify_negative_cache': 'yes'},
    'servers': {
        'a': {'port': 2501, 'rules': [{'on': 'RCPT', 'match': 'bad', 'reply': '550 5.1.1 no such user here'},
                                      {'on': 'RCPT', 'match': 'busy', 'reply': '450 4.2.1 mailbox busy'},
                                      {'on': 'DOT', 'match': 'Subject: spam', 'reply': '554 5.7.1 not wanted'}]},
        'tls': {'port': 2502, 'ehlo': ['PIPELINING', 'STARTTLS', '8BITMIME']},
        'box': {'port': 2503, 'proto': 'lmtp', 'rules': [{'on': 'DOT', 'match': 'full', 'reply': '452 4.2.2 mailbox full'},
                                                         {'on': 'DOT', 'match': 'gone', 'reply': '550 5.1.1 gone'}]},
    },
    'steps': [
        {'do': 'submit', 'to': ['user%n@example.test'], 'count': 12},
        {'do': 'submit', 'to': ['a@example.test', 'b@example.test', 'bad@example.test', 'busy@example.test']},
        {'do': 'submit', 'to': ['bad%n@example.test'], 'count': 3, 'from': 'other@dropin.test'},
        {'do': 'submit', 'to': ['busy%n@example.test'], 'count': 2, 'from': ''},
        {'do': 'submit', 'to': ['a@example.test'], 'message': 'From: a@dropin.test\nSubject: spam\n\nBuy.\n'},
        {'do': 'submit', 'to': ['a@tls.test', 'b@tls.test'], 'count': 3},
        {'do': 'submit', 'to': ['a@box.test', 'full@box.test', 'gone@box.test'], 'count': 2},
        {'do': 'submit', 'to': ['a@down.test']},
        {'do': 'submit', 'to': ['a@none.test']},
        {'do': 'submit', 'to': ['a@example.test'], 'args': ['-bv']},
        {'do': 'wait'},
    ],
}

CHANCE = [
    (re.compile(r'^\w{3} [ \d]\d \d\d:\d\d:\d\d', re.M), 'Jan 01 12:00:00'),
    (re.compile(r'\bdelay=[\d.]+'), 'delay=1'),
    (re.compile(r'\bsize=\d+'), 'size=1000'),
    (re.compile(r'\[\d+\]:'), '[1]:'),
]

# The least of each fate: mail that does not meet it shows nothing.
FATES = {'received': 20, 'delivered': 20, 'deferred': 5, 'bounced': 5}


def log(agent, arguments):
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(CASE, file)
        file.flush()
        result = harness.run_case(file.name, agent, {'args': arguments, 'main': [], 'full': True})
    if result['error']:
        sys.exit('summary: ' + result['error'])
    text = '\n'.join(result['log']) + '\n'
    for pattern, word in CHANCE:
        text = pattern.sub(word, text)
    return text


def summary(text):
    run = subprocess.run(['pflogsumm', '--verbose-msg-detail', '--smtpd-stats'], input=text, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--agent', required=True, help='the program to put in place of smtp(8) and lmtp(8)')
    parser.add_argument('--args', action='append', help='further master.cf arguments; each is a run of its own')
    options = parser.parse_args()
    want = summary(log(harness.REAL, ''))
    for fate, least in FATES.items():
        counted = re.search(r'^ +(\d+) +%s\b' % fate, '\n'.join(want), re.M)
        if not counted or int(counted.group(1)) < least:
            sys.exit('summary: too little mail is %s:\n%s' % (fate, '\n'.join(want[:20])))
    for arguments in options.args or ['']:
        got = summary(log(os.path.abspath(options.agent), arguments))
        if got != want:
            print('\n'.join(difflib.unified_diff(want, got, 'Postfix', 'agent ' + arguments, lineterm='', n=0)))
            sys.exit('summary: pflogsumm counts something else with %s' % (arguments or 'the agent'))
        print('summary: pflogsumm says the same with %s, in %d lines' % (arguments or 'the agent', len(got)))


if __name__ == '__main__':
    main()
