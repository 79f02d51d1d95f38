//! Begin, service and end of a process.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
};

use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::{Uid, getpgid},
};
use postfix_ipc::status::Availability::{Available, Taken};

use crate::{
    master::{MODES, Postfix, ask, comes, is_greeted, lives, proc},
    neighbours::greeted,
    server::Server,
};

#[test]
fn a_classic_agent_is_taken_from_the_connection_to_its_end() {
    let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
    let agent = postfix.start(&["mode=classic"]);
    assert!(agent.is_quiet());
    for _ in 0..2 {
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        let mut stream = postfix.connect();
        greeted(&mut stream);
        assert_eq!(agent.told(1), [Taken]);
        assert_eq!(ask(&mut stream, &mail).unwrap().status, 0);
        // The queue manager has not closed it.
        assert!(agent.is_quiet());
        drop(stream);
        assert_eq!(agent.told(1), [Available]);
    }
    assert!(agent.is_quiet());
}

#[test]
fn processes_go_by_the_name_of_the_command() {
    for mode in MODES {
        let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
        let agent = postfix.start(&[mode]);
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        assert_eq!(postfix.serve(&mail).unwrap().status, 0);
        for pid in [agent.pid(), agent.server()] {
            let name = fs::read_to_string(proc(pid, "comm")).unwrap();
            assert_eq!(name, "outpost-agent\n", "{mode}");
        }
    }
}

#[test]
fn a_guard_is_never_taken() {
    let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
    let agent = postfix.start(&["mode=shared"]);
    let mail = postfix.mail(&server.nexthop(), &["a@test"]);
    assert_eq!(postfix.serve(&mail).unwrap().status, 0);
    assert!(agent.is_quiet());
}

#[test]
fn classic_agents_accept_one_after_another_under_the_lock() {
    let postfix = Postfix::new("", &[]);
    let lock = File::create(postfix.folder().join("pid/unix.smtp")).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let agents = [
        postfix.start(&["mode=classic"]),
        postfix.start(&["mode=classic"]),
    ];
    let mut first = postfix.connect();
    assert!(!is_greeted(&mut first));
    let lock = held.unlock().unwrap();
    greeted(&mut first);
    // One serves and the other one waits, with the lock.
    let mut lock = Some(lock);
    let mut is_held = || match Flock::lock(lock.take().unwrap(), FlockArg::LockExclusiveNonblock) {
        Ok(held) => {
            lock = Some(held.unlock().unwrap());
            false
        }
        Err((back, _)) => {
            lock = Some(back);
            true
        }
    };
    while !is_held() {}
    let mut second = postfix.connect();
    greeted(&mut second);
    // Nobody waits any more.
    while is_held() {}
    drop((first, second));
    assert_eq!(
        agents.map(|agent| agent.told(2)),
        [[Taken, Available], [Taken, Available]]
    );
}

#[test]
fn a_classic_agent_has_one_request_at_a_time() {
    let postfix = Postfix::new("", &[]);
    let _agent = postfix.start(&["mode=classic"]);
    let mut first = postfix.connect();
    greeted(&mut first);
    let mut second = postfix.connect();
    assert!(!is_greeted(&mut second));
    drop(first);
    greeted(&mut second);
}

#[test]
fn a_classic_agent_leaves_after_so_many_requests() {
    let postfix = Postfix::new("max_use = 2\n", &[]);
    let mut agent = postfix.start(&["mode=classic"]);
    for _ in 0..2 {
        greeted(&mut postfix.connect());
    }
    assert!(agent.end().success());
    assert_eq!(agent.told(4), [Taken, Available, Taken, Available]);
}

#[test]
fn an_agent_leaves_when_nobody_comes() {
    for mode in MODES {
        let postfix = Postfix::new("max_idle = 1s\n", &[]);
        let mut agent = postfix.start(&[mode]);
        let server = || agent.server();
        assert!(comes(|| lives(server())));
        assert!(agent.end().success(), "{mode}");
        assert_eq!(postfix.scribe().journal(), [""; 0]);
    }
}

#[test]
fn an_agent_leaves_before_the_next_request_when_a_table_has_changed() {
    for mode in MODES {
        let postfix = Postfix::new("", &[]);
        let table = postfix.folder().join("generic");
        fs::write(&table, "x@test y@test\n").unwrap();
        let spec = format!("texthash:{}", table.display());
        let option = format!("smtp_generic_maps={spec}");
        let mut agent = postfix.start(&["-o", &option, mode]);
        greeted(&mut postfix.connect());
        fs::write(&table, "x@test other@test\n").unwrap();
        let mut next = postfix.connect();
        assert!(agent.end().success(), "{mode}");
        let text = format!("log table {spec} has changed -- restarting");
        assert_eq!(postfix.scribe().journal(), [text]);
        // It is still there for another agent.
        let _agent = postfix.start(&["-o", &option, mode]);
        greeted(&mut next);
    }
}

#[test]
fn a_reload_ends_who_is_idle() {
    for mode in MODES {
        let postfix = Postfix::new("", &[]);
        let mut agent = postfix.start(&[mode]);
        greeted(&mut postfix.connect());
        if mode == "mode=classic" {
            assert_eq!(agent.told(2), [Taken, Available]);
        }
        let server = agent.server();
        agent.reload();
        assert!(agent.end().success(), "{mode}");
        assert!(comes(|| !lives(server)), "{mode}");
        assert_eq!(postfix.scribe().journal(), [""; 0]);
    }
}

#[test]
fn a_reload_lets_requests_be_finished_and_nothing_be_accepted() {
    for mode in MODES {
        let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
        let mut agent = postfix.start(&[mode]);
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        let mut busy = postfix.connect();
        greeted(&mut busy);
        let worker = agent.server();
        agent.reload();
        // In master's books it is free, so that it has to go.
        if mode == "mode=shared" {
            assert!(agent.end().success());
        } else {
            assert!(agent.is_there());
        }
        let mut late = postfix.connect();
        assert!(!is_greeted(&mut late), "{mode}");
        assert_eq!(ask(&mut busy, &mail).unwrap().status, 0, "{mode}");
        assert_eq!(mail.marks(), "D");
        drop(busy);
        assert!(agent.end().success(), "{mode}");
        assert!(comes(|| !lives(worker)), "{mode}");
        let _agent = postfix.start(&[mode]);
        greeted(&mut late);
    }
}

#[test]
fn a_worker_whose_guard_is_killed_finishes_what_it_has() {
    let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
    let mut agent = postfix.start(&["mode=shared"]);
    let mail = postfix.mail(&server.nexthop(), &["a@test"]);
    let mut busy = postfix.connect();
    greeted(&mut busy);
    let worker = agent.server();
    assert_ne!(worker, agent.pid());
    // `postfix stop` reaches the group.
    assert_eq!(getpgid(Some(worker)), Ok(agent.pid()));
    agent.signal(Signal::SIGKILL);
    agent.end();
    assert!(!is_greeted(&mut postfix.connect()));
    assert_eq!(ask(&mut busy, &mail).unwrap().status, 0);
    drop(busy);
    assert!(comes(|| !lives(worker)));
}

#[test]
fn a_guard_goes_with_its_worker_and_tells_whether_that_has_ever_served() {
    for serves in [true, false] {
        let postfix = Postfix::new("", &[]);
        let mut agent = postfix.start(&["mode=shared"]);
        assert!(comes(|| agent.server() != agent.pid()));
        if serves {
            greeted(&mut postfix.connect());
            // The connection is greeted before the guard hears of it.
            greeted(&mut postfix.connect());
        }
        kill(agent.server(), Signal::SIGKILL).unwrap();
        assert_eq!(agent.end().success(), serves);
        let fatal = postfix.scribe().told("log fatal: worker: signal: 9");
        assert_eq!(
            fatal.len(),
            usize::from(!serves),
            "{:?}",
            postfix.scribe().journal()
        );
    }
}

/// Returns whether this process, and so those that it starts, ignores a signal, as under nohup(1).
fn is_ignored(signal: Signal) -> bool {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let mask = text.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    let mask = u64::from_str_radix(mask.unwrap(), 16).unwrap();
    mask >> (signal as i32 - 1) & 1 == 1
}

#[test]
fn signals_do_as_they_do_by_default() {
    for mode in MODES {
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
            if is_ignored(signal) {
                continue;
            }
            let postfix = Postfix::new("", &[]);
            let mut agent = postfix.start(&[mode]);
            greeted(&mut postfix.connect());
            let server = agent.server();
            agent.signal(signal);
            let status = agent.end();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(signal as i32)
            );
            assert!(comes(|| !lives(server)), "{mode}");
        }
    }
}

#[test]
fn a_peer_who_is_gone_ends_nothing() {
    for mode in MODES {
        let (postfix, server) = (
            Postfix::new("", &[]),
            Server::start(&[("DATA", "pause 354 go on")]),
        );
        let mut agent = postfix.start(&[mode]);
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        let mut stream = postfix.connect();
        greeted(&mut stream);
        std::io::Write::write_all(&mut stream, &mail.request.encode()).unwrap();
        server.wait_for("DATA");
        drop(stream);
        assert!(comes(|| mail.marks() == "D"), "{mode}");
        greeted(&mut postfix.connect());
        assert!(agent.is_there());
    }
}

/// The value of a line of /proc/PID/status.
fn status(text: &str, name: &str) -> Vec<u32> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

#[test]
fn rights_are_given_up_after_everything_is_open_and_before_anybody_is_met() {
    if !Uid::current().is_root() {
        eprintln!("not root: nothing to give up");
        return;
    }
    for mode in MODES {
        let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
        let secret = postfix.folder().join("secret");
        fs::create_dir(&secret).unwrap();
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        fs::write(secret.join("generic"), "from@test x@other.test\n").unwrap();
        let option = format!(
            "smtp_generic_maps=texthash:{}",
            secret.join("generic").display()
        );
        let agent = postfix.start(&["-u", "-c", "-o", &option, mode]);
        let mut stream = postfix.connect();
        greeted(&mut stream);
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
        for pid in [agent.pid(), agent.server()] {
            let text = fs::read_to_string(proc(pid, "status")).unwrap();
            assert_eq!(status(&text, "Uid:"), [uid; 4], "{mode}");
            assert_eq!(status(&text, "Gid:"), [gid; 4], "{mode}");
            assert!(!status(&text, "Groups:").contains(&0), "{mode}");
            assert!(text.contains("CapEff:\t0000000000000000"), "{mode}");
            assert_eq!(
                fs::read_link(proc(pid, "root")).unwrap(),
                postfix.folder(),
                "{mode}"
            );
        }
        if mode == "mode=classic" {
            let lock = fs::metadata(postfix.folder().join("pid/unix.smtp")).unwrap();
            assert_eq!((lock.uid(), lock.mode() & 0o777), (0, 0o600));
        }
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        fs::set_permissions(
            mail.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .unwrap();
        assert_eq!(
            ask(&mut stream, &mail).unwrap().status,
            0,
            "{:?}",
            postfix.scribe().journal()
        );
        assert_eq!(
            (
                mail.marks().as_str(),
                server.count("MAIL FROM:<x@other.test>")
            ),
            ("D", 1)
        );
    }
}
