//! CPU time of the program for a request, as master(8) starts it and the queue manager asks it, with a server on this machine.
//!
//! ```text
//! cargo bench -p outpost-agent -- classic 2000 4
//! ```
//!
//! The words are `classic` or `shared`, with `-tls` behind for an encrypted connection; the number of messages; and that of
//! queue managers, each of which has one request at a time. `classic` has so many processes, `shared` one. Messages are of
//! 4 KiB, with one recipient; each has a connection of its own where the program keeps none. `OUTPOST_AGENT` may name another
//! build of the program. It is also the work that `packaging/optimize` looks at.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../tests/process/master.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod master;
#[path = "../../src/tests/neighbours.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod neighbours;
mod sink;

use std::{env, fs, thread};

use master::{Agent, Postfix, comes, lives, proc};
use nix::unistd::Pid;
use postfix_ipc::queue_file::{Record, RecordKind};

use crate::sink::Sink;

/// The work that is measured.
struct Plan {
    mode: &'static str,
    tls: bool,
    messages: usize,
    managers: usize,
}

impl Plan {
    /// The plan of the words of the command line; those of the test runner do not count.
    fn read() -> Self {
        let mut words = env::args().skip(1).filter(|word| !word.starts_with("--"));
        let way = words.next().unwrap_or_else(|| "classic".to_owned());
        let (mode, tls) = match way.as_str() {
            "classic" => ("mode=classic", false),
            "classic-tls" => ("mode=classic", true),
            "shared" => ("mode=shared", false),
            "shared-tls" => ("mode=shared", true),
            way => panic!("{way}: not one of classic, classic-tls, shared, shared-tls"),
        };
        let mut number = |default| words.next().map_or(default, |word| word.parse().unwrap());
        Self {
            mode,
            tls,
            messages: number(2000),
            managers: number(4),
        }
    }

    /// The settings of the program.
    fn main_cf(&self) -> String {
        let level = if self.tls { "encrypt" } else { "may" };
        format!("smtp_tls_security_level = {level}\nmax_use = 1000000\n")
    }

    /// The number of processes that master(8) starts.
    fn agents(&self) -> usize {
        match self.mode {
            "mode=shared" => 1,
            _ => self.managers,
        }
    }
}

fn main() {
    let plan = Plan::read();
    let sink = Sink::start(plan.tls);
    let postfix = Postfix::new(&plan.main_cf(), &[]);
    let mut agents: Vec<Agent> = (0..plan.agents())
        .map(|_| postfix.start(&[plan.mode]))
        .collect();
    // Each process has served someone before the clock runs.
    serve(&postfix, &agents, &sink, plan.managers, 4 * plan.managers);
    let processes: Vec<Pid> = agents.iter().map(Agent::server).collect();
    let begun = cpu(&processes);
    serve(&postfix, &agents, &sink, plan.managers, plan.messages);
    let used = cpu(&processes) - begun;
    println!(
        "{} messages, {} processes: {:.1} µs of CPU time each, {} KiB of their own and a share of {} KiB",
        plan.messages,
        processes.len(),
        used as f64 / 1000.0 / plan.messages as f64,
        memory(&processes, "Private_Dirty:") / processes.len(),
        memory(&processes, "Pss:") / processes.len(),
    );
    // They leave of themselves, as when Postfix is reloaded.
    agents.iter_mut().for_each(Agent::reload);
    for agent in &mut agents {
        assert!(agent.end().success());
    }
    // The worker, too: it has something to write where it is made to count.
    assert!(comes(|| !processes.iter().any(|pid| lives(*pid))));
}

/// Has so many messages delivered.
fn serve(postfix: &Postfix, agents: &[Agent], sink: &Sink, managers: usize, messages: usize) {
    thread::scope(|scope| {
        for number in 0..managers {
            scope.spawn(move || {
                for _ in (number..messages).step_by(managers) {
                    let to = ["someone@example.test"];
                    let mail =
                        neighbours::mail_of(postfix.folder(), &sink.nexthop(), &to, text_of_4_kib);
                    assert_eq!(postfix.serve(&mail).unwrap().status, 0);
                    fs::remove_file(mail.path()).unwrap();
                    agents.iter().for_each(Agent::heed);
                }
            });
        }
    });
}

fn text_of_4_kib(file: &mut Vec<u8>) {
    neighbours::line(file, "From: <from@test>");
    neighbours::line(file, "To: <someone@example.test>");
    neighbours::line(file, "Subject: a message of a usual size");
    neighbours::line(file, "");
    for _ in 0..54 {
        neighbours::line(file, &"A line of text. ".repeat(5));
    }
    Record::write(RecordKind::EXTRACTED, b"", file);
}

/// CPU time of all threads, in nanoseconds.
fn cpu(processes: &[Pid]) -> u64 {
    let of = |pid: &Pid| -> u64 {
        fs::read_dir(proc(*pid, "task"))
            .unwrap()
            .filter_map(|task| fs::read_to_string(task.unwrap().path().join("schedstat")).ok())
            .map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    processes.iter().map(of).sum()
}

/// A number of `smaps_rollup`, in KiB, of all processes.
fn memory(processes: &[Pid], name: &str) -> usize {
    let of = |pid: &Pid| -> usize {
        let text = fs::read_to_string(proc(*pid, "smaps_rollup")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    processes.iter().map(of).sum()
}
