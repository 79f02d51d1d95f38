#!/usr/bin/env python3
"""Sends mail through a private Postfix while its delivery agents, and now and then master(8), are killed at random.

    kill.py --agent real|PROGRAM [--args mode=shared] [--count 1000] [--seed N]

Every 50 to 200 ms one process of the agents, whichever it is, gets SIGKILL. In the end every message must have arrived, and none
more often than a crash excuses: a message may come once more for each kill of a process that had it under way. Under way is what
the process has the queue file open for, as it stood when it was stopped for the kill. So the count is exact, and depends on no clock.

Some mail has several recipients, some goes by LMTP, some is refused (which has to be reported to its sender), some is deferred first.
Exit status 1 if a message is lost or doubled without excuse. See harness.py for the private Postfix, and what it needs.
"""

import argparse
import collections
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import harness

# A transport that loses an agent rests for a second, so that there have to be several for the kills not to fall into rests.
SMTP = ['smtp'] + ['smtp%d' % n for n in range(1, 5)]
LMTP = ['lmtp']
DOMAINS = [name + '.test' for name in SMTP + LMTP] + ['refused.test', 'later.test']
CHUNK = 50
# No more than this waits in the queue: qmgr(8) defers all that waits for a transport which has lost an agent.
BACKLOG = 200
PROCESSES = 5


def case(seconds):
    """A mail system with the transports, each for a domain of its own"""
    table = ['%s.test %s:[127.0.0.1]:%d' % (t, t, 2502 if t in LMTP else 2501) for t in SMTP + LMTP]
    table += ['refused.test smtp1:[127.0.0.1]:2501', 'later.test smtp2:[127.0.0.1]:2501', 'back.test smtp3:[127.0.0.1]:2501']
    return {
        'transport': '\n'.join(table) + '\n',
        # Without postlogd(8): a new master(8) and its qmgr(8) can block each other before it runs, when both have much to log.
        'syslog': True,
        'procs': str(PROCESSES),
        'master_cf': ['%s unix - - n - %d smtp' % (t, PROCESSES) for t in SMTP[1:]],
        'main_cf': {
            'enable_long_queue_ids': 'yes', 'service_throttle_time': '1s', 'transport_retry_time': '1s', 'queue_run_delay': '1s',
            'minimal_backoff_time': '1s', 'maximal_backoff_time': '2s', 'initial_destination_concurrency': str(PROCESSES),
            'default_destination_concurrency_failed_cohort_limit': '100',
        },
        'servers': {
            'a': {'port': 2501, 'rules': [{'on': 'RCPT', 'match': '@refused', 'reply': '550 5.1.1 no such user'},
                                          {'on': 'RCPT', 'match': '@later', 'times': 100, 'reply': '450 4.2.1 later'},
                                          # It is taken, and nobody knows for a while.
                                          {'on': 'DOT', 'delay_ms': 20, 'after': 'keep'}]},
            'l': {'port': 2502, 'proto': 'lmtp'},
        },
        'settle': seconds,
    }


class Siege(harness.World):
    """A mail system under fire."""

    def __init__(self, agent, options):
        super().__init__(case(options['settle']), agent, options)
        self.random, self.aim = random.Random(options['seed']), random.Random(options['seed'] + 1)
        self.expected = set()
        self.kills = collections.Counter()
        self.under_way = collections.Counter()
        self.peace = threading.Event()

    # ---- fire

    def fire(self):
        while not self.peace.wait(self.aim.uniform(0.05, 0.2)):
            targets = self.agents()
            if targets:
                self.kill(self.aim.choice(targets))

    def kill(self, pid):
        """Stops a process, notes what it has under way, and kills it"""
        try:
            os.kill(pid, signal.SIGSTOP)
            role = 'of master' if self.parent(pid) == self.master_pid else 'of others'
            while any(state not in 'TZX' for state in self.states(pid)):
                time.sleep(0.001)
            self.under_way.update(self.open_messages(pid))
            os.kill(pid, signal.SIGKILL)
            self.kills[role] += 1
        except OSError:
            pass        # it has gone by itself

    @staticmethod
    def parent(pid):
        return int(open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()[1])

    @staticmethod
    def states(pid):
        """Of all threads"""
        for task in os.listdir('/proc/%d/task' % pid):
            yield open('/proc/%d/task/%s/stat' % (pid, task)).read().rsplit(')', 1)[1].split()[0]

    @staticmethod
    def open_messages(pid):
        """By queue id; a new qmgr(8) moves the files of the old one to another queue"""
        links = set()
        for fd in os.listdir('/proc/%d/fd' % pid):
            try:
                links.add(os.readlink('/proc/%d/fd/%s' % (pid, fd)))
            except OSError:
                pass
        return {m.group(1) for m in (re.search(r'/(?:active|incoming|deferred)/(?:\w/)*(\w+)(?: \(deleted\))?$', l) for l in links) if m}

    def kill_master(self):
        """The agents finish what they have; a new master(8) is started as soon as the other daemons are gone"""
        self.master.kill()
        self.master.wait(20)
        agents = set(self.agents())
        end = time.time() + 20
        while time.time() < end and {int(p) for p in self.old_daemons()} - agents - set(self.agents()):
            time.sleep(0.01)
        self.start()
        self.kills['master'] += 1

    def start(self):
        super().start()
        self.master_pid = self.master.pid

    # ---- mail

    def submit(self, number, count):
        """Hands in messages with a recipient or three of their own each"""
        domain = DOMAINS[number % len(DOMAINS)]
        each = self.random.choice([1, 1, 3])
        subprocess.run(['smtp-source', '-s', '4', '-d', '-m', str(count), '-r', str(each), '-N', '-l', '2000',
                        '-f', 'c%d@back.test' % number, '-t', 'c%d@%s' % (number, domain), '127.0.0.1:25'], check=True)
        self.expected |= {'%dc%d@%s' % (n, number, domain) for n in range(1, count * each + 1)}

    def accepted(self):
        """How often each recipient of each queue file was accepted; the reports, by the message that they are about"""
        copies, reports, reported = collections.Counter(), collections.defaultdict(set), set()
        for m in self.mails():
            queue_id = re.search(rb'^Received:(?:.*\r\n)(?:[ \t].*\r\n)*?.*\bid (\w+)', m['data'], re.M).group(1).decode()
            for r in m['rcpt']:
                copies[(queue_id, re.search('<(.*?)>', r).group(1))] += 1
            if m['mail'].startswith('MAIL FROM:<>'):
                about = re.search(rb'^X-Postfix-Queue-ID: (\w+)', m['data'], re.M).group(1).decode()
                reports[about].add(queue_id)
                reported |= {a.decode() for a in re.findall(rb'^Final-Recipient: rfc822; ?(\S+)', m['data'], re.M)}
        return copies, reports, reported

    def judge(self):
        copies, reports, reported = self.accepted()
        arrived = {address for _, address in copies}
        lost = sorted(self.expected - arrived - reported)
        more = {'%s %s' % key: n - 1 for key, n in copies.items() if n > 1}
        more.update({'report about ' + about: len(ids) - 1 for about, ids in reports.items() if len(ids) > 1})
        beyond = {key: n for key, n in more.items() if n > self.under_way[re.sub('report about ', '', key).split()[0]]}
        return {
            'recipients': len(self.expected), 'arrived': len(self.expected & arrived), 'reported': len(self.expected & reported),
            'kills': dict(self.kills), 'under_way': sum(self.under_way.values()), 'doubled': sum(more.values()),
            'lost': lost, 'beyond': beyond, 'files': self.files(),
            'panics': [l for l in self.logtext().splitlines() if re.search(r'(smtp|lmtp)\[\d+\]: panic:', l)][:5],
        }

    def run(self):
        begun = time.time()
        self.outside()
        self.start()
        killer = threading.Thread(target=self.fire, daemon=True)
        killer.start()
        chunks = [min(CHUNK, self.o['count'] - at) for at in range(0, self.o['count'], CHUNK)]
        deaths = set(self.random.sample(range(1, len(chunks)), min(len(chunks) - 1, self.o['masters'])))
        for number, count in enumerate(chunks):
            self.submit(number, count)
            self.drain(self.case['settle'], BACKLOG)
            if number in deaths:
                self.kill_master()
        self.drain(self.o['calm'], 0)
        self.peace.set()
        killer.join()
        self.drain(self.case['settle'], 0)
        result = self.judge()
        self.end()
        return dict(result, seconds=round(time.time() - begun, 1))

    def drain(self, seconds, left):
        """Until no more than that is left in the queue. What an old agent had locked when master(8) died waits for the next scan"""
        end = time.time() + seconds
        while time.time() < end and self.busy() + self.files().get('deferred', 0) > left:
            self.do_step({'do': 'flush', 'settle': False})
            time.sleep(0.1 if left else 0.5)


def inside(argv):
    harness.enter()
    result = Siege(argv[1], json.loads(argv[2])).run()
    with open(3, 'w', closefd=False) as f:
        json.dump(result, f)
        f.flush()
    os._exit(0)


def main():
    if sys.argv[1:2] == ['_inside']:
        return inside(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--agent', default=harness.REAL, help='`real`, or the program to put in place of smtp(8) and lmtp(8)')
    parser.add_argument('--args', default='', help='further master.cf arguments, e.g. mode=shared')
    parser.add_argument('--main', action='append', default=[], metavar='NAME=VALUE', help='main.cf setting')
    parser.add_argument('--count', type=int, default=1000, help='messages')
    parser.add_argument('--masters', type=int, default=1, help='how often master(8) is killed')
    parser.add_argument('--seed', type=int, default=None, help='of the mail and of the pauses; whom a kill hits is chance all the same')
    parser.add_argument('--limit', type=int, default=3600, help='seconds after which it is over')
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit('needs root: it makes name spaces and starts master(8)')
    agent = options.agent if options.agent == harness.REAL else os.path.abspath(options.agent)
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    told = {'args': options.args, 'main': options.main, 'count': options.count, 'masters': options.masters, 'seed': seed, 'settle': 120,
            'calm': 3}
    print('kill: seed %d' % seed, flush=True)
    result = harness.run_case('-', agent, told, options.limit, script=__file__)
    if result.get('error'):
        sys.exit('kill: ' + result['error'])
    print('kill: %s' % harness.short(result, 3000))
    bad = [what for what in ('lost', 'beyond', 'panics', 'files') if result[what]]
    sys.exit('kill: ' + ', '.join(bad) if bad else 0)


if __name__ == '__main__':
    main()
