//! Every recording against a runtime, on real sockets.
//!
//! The recordings share addresses and low ports, so that two of them cannot run
//! in one network. Where the machine allows it (Linux, root, the programs
//! `unshare` and `ip`), the test program starts itself several times, each time
//! in a network namespace of its own with a share of the recordings. Elsewhere
//! they run one after the other, and a port keeps other test programs off.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::{Host, lock};
use crate::compare::{compare, normalise};
use crate::conformance::{Failures, Selection};
use crate::scenario::{Picture, RecipientResult, Scenario, write_inputs};

/// The share of a worker, as `NUMBER/OF`.
const WORKER: &str = "OUTPOST_SIM_WORKER";
/// `1`: no workers, one scenario after the other.
const SERIAL: &str = "OUTPOST_SIM_SERIAL";
/// How many workers run for each processor: nearly all of their time is waiting.
const WORKERS_PER_PROCESSOR: usize = 4;
/// The most workers.
const MAX_WORKERS: usize = 16;
/// How long the servers wait for more commands before they answer.
const HOLD: Duration = Duration::from_millis(40);
/// The same for the second look at a scenario that differed: on a machine with
/// too much to do, commands that belong together may arrive too late.
const LONG_HOLD: Duration = Duration::from_millis(250);
/// The address of the scripted name server.
const DNS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 153)), 10_053);
/// Who holds this UDP port has the addresses of the machine.
const BUSY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 153)), 10_052);
/// How often a program that has to wait looks again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// What a worker prints before each failure and at its end.
const MARK: &str = "\u{1}outpost-sim\u{1}";
/// Brings the loopback device of a new network namespace up, then becomes the
/// program that is given.
const LOOPBACK: &str = r#"ip link set lo up 2>/dev/null ||
    { mount -t sysfs none /sys && echo 0x49 > /sys/class/net/lo/flags; } || exit 99
    [ -z "$1" ] || exec "$@""#;

/// Only one scenario at a time may have the addresses of this process.
static ADDRESSES: Mutex<()> = Mutex::new(());

/// Runs the recordings that are not pending. `runner` delivers the requests of a
/// scenario with the configuration in the given folder and the given name server,
/// and returns the results in the order of the requests.
///
/// `test` is the name of the test that calls this, as the test program knows it:
/// `every_recording`, or `module::every_recording`.
///
/// # Errors
/// All differences.
pub fn run_all(
    test: &str,
    runner: impl Fn(&Scenario, &Path, SocketAddr) -> Vec<Vec<RecipientResult>>,
) -> Result<(), Failures> {
    let mut selection = Selection::load()?;
    selection.scenarios.retain({
        let pending = selection.pending.clone();
        move |scenario| !pending.contains(&scenario.name)
    });
    if let Some((number, of)) = share() {
        let mut index = 0;
        selection.scenarios.retain(|_| {
            index += 1;
            index % of == number
        });
        let result = selection.run(|scenario| judge(scenario, &runner));
        let texts = result
            .err()
            .map(|failures| failures.texts)
            .unwrap_or_default();
        texts
            .iter()
            .for_each(|text| println!("{MARK}failure\n{text}"));
        println!("{MARK}end");
        return Ok(());
    }
    let serial = std::env::var(SERIAL).is_ok_and(|value| value == "1");
    if !serial && selection.scenarios.len() > 1 && namespaces_work() {
        return in_workers(test, selection.scenarios.len());
    }
    let _other_tests = lock(&ADDRESSES);
    let _other_programs = keep_others_off();
    selection.run(|scenario| judge(scenario, &runner))
}

/// Runs one scenario; `Err` is the difference. A difference must show twice.
fn judge(
    scenario: &Scenario,
    runner: &impl Fn(&Scenario, &Path, SocketAddr) -> Vec<Vec<RecipientResult>>,
) -> Result<(), String> {
    play(scenario, runner, HOLD).or_else(|_| {
        eprintln!(
            "{}: looking again, with more patient servers",
            scenario.name
        );
        play(scenario, runner, LONG_HOLD)
    })
}

fn play(
    scenario: &Scenario,
    runner: &impl Fn(&Scenario, &Path, SocketAddr) -> Vec<Vec<RecipientResult>>,
    hold: Duration,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("! {error}\n");
    let folder = tempfile::tempdir().map_err(failed)?;
    let dir = folder.path();
    write_inputs(scenario, dir).map_err(failed)?;
    let host = Host::start(scenario, dir, DNS, hold).map_err(failed)?;
    let recipients = runner(scenario, dir, DNS);
    let mut picture = Picture {
        sessions: host.finish(),
        recipients,
    };
    normalise(&mut picture, &dir.to_string_lossy());
    compare(scenario, &picture)
}

/// The share of this process if it is a worker.
fn share() -> Option<(usize, usize)> {
    let text = std::env::var(WORKER).ok()?;
    let (number, of) = text.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok().filter(|of| *of > 0)?))
}

/// A command in a network namespace of its own; without a program it only tries.
fn isolated(program: Option<&Path>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", LOOPBACK, "sh"]);
    command.args(program);
    command
}

fn namespaces_work() -> bool {
    let mut command = isolated(None);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Starts this program again for each share, and gathers what went wrong.
fn in_workers(test: &str, scenarios: usize) -> Result<(), Failures> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = (processors * WORKERS_PER_PROCESSOR)
        .min(MAX_WORKERS)
        .min(scenarios);
    let children: Vec<io::Result<Child>> = (0..workers)
        .map(|number| start(test, number, workers))
        .collect();
    let mut failures = Failures {
        run: scenarios,
        texts: Vec::new(),
    };
    for child in children {
        let output = match child.and_then(Child::wait_with_output) {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => error.to_string(),
        };
        let mut parts: Vec<&str> = output.split(MARK).skip(1).collect();
        if parts.pop().is_none_or(|last| !last.starts_with("end")) {
            failures
                .texts
                .push(format!("a worker came to no good end:\n{output}\n"));
        }
        let texts = parts
            .iter()
            .filter_map(|part| part.strip_prefix("failure\n"));
        failures
            .texts
            .extend(texts.map(|text| text.trim_end().to_owned() + "\n"));
    }
    failures.texts.sort();
    if failures.texts.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

fn start(test: &str, number: usize, of: usize) -> io::Result<Child> {
    isolated(Some(&std::env::current_exe()?))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(WORKER, format!("{number}/{of}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

/// Waits until no other test program has the addresses. What is held is a port,
/// which the system takes back however a program ends.
fn keep_others_off() -> Option<UdpSocket> {
    loop {
        match UdpSocket::bind(BUSY) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                std::thread::sleep(BUSY_PAUSE);
            }
            result => return result.ok(),
        }
    }
}
