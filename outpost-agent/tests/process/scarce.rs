//! Processes that run short of something, or stand still.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        net::UnixStream,
        process::ExitStatusExt,
    },
    process::Command,
    thread,
    time::Duration,
};

use nix::{libc, sys::stat::Mode, unistd::Uid};

use crate::{
    master::{Agent, MODES, Postfix, ask, comes, is_greeted, lives},
    neighbours::{Mail, greeted, reply},
    server::Server,
};

/// Runs a test again in a process with mounts of its own, and returns whether this is that process. Nothing is tested where
/// the system does not permit it.
fn has_own_mounts(test: &str) -> bool {
    const INSIDE: &str = "OUTPOST_TEST_MOUNTS";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |program: &str, arguments: &[&str]| {
        let flags: &[&str] = if Uid::current().is_root() {
            &["-m"]
        } else {
            &["-r", "-m"]
        };
        let mut command = Command::new("unshare");
        command
            .args(flags)
            .arg(program)
            .args(arguments)
            .env(INSIDE, "1")
            .output()
    };
    if !unshare("true", &[]).is_ok_and(|output| output.status.success()) {
        eprintln!("no mounts of one's own here");
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let output = unshare(program.to_str().unwrap(), &["--exact", test, "--nocapture"]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    false
}

fn mount(arguments: &[&str]) {
    assert!(
        Command::new("mount")
            .args(arguments)
            .status()
            .unwrap()
            .success()
    );
}

/// Looks at a mark that cannot be written: the recipient stays, and the process as well.
fn cannot_mark(postfix: &Postfix, mail: &Mail, server: &Server, why: &str) {
    let told = || postfix.scribe().told("log error: ");
    let (before, texts) = (told().len(), server.count("TEXT"));
    assert_eq!(postfix.serve(mail).unwrap().status, -1);
    assert_eq!(
        (mail.marks().as_str(), server.count("TEXT") - texts),
        ("R", 1)
    );
    assert_eq!(
        told()[before..],
        [format!("update active/{}: {why}", mail.id)]
    );
}

#[test]
fn a_file_size_limit_is_an_error_and_no_end() {
    for mode in MODES {
        let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
        let shell = "exec 2>stderr; ulimit -f 0;";
        let mut agent = postfix.start_behind(shell, &["-V", mode]);
        for _ in 0..2 {
            let mail = postfix.mail(&server.nexthop(), &["a@test"]);
            cannot_mark(&postfix, &mail, &server, "File too large");
        }
        assert!(agent.is_there());
        assert_eq!(fs::read(postfix.folder().join("stderr")).unwrap(), b"");
    }
}

#[test]
fn a_full_disk_is_an_error_and_no_end() {
    if !has_own_mounts("scarce::a_full_disk_is_an_error_and_no_end") {
        return;
    }
    for mode in MODES {
        let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
        let active = postfix.folder().join("active");
        mount(&[
            "-t",
            "tmpfs",
            "-o",
            "size=64k",
            "tmpfs",
            active.to_str().unwrap(),
        ]);
        let mut mail = postfix.mail(&server.nexthop(), &["a@test"]);
        // Where the file has a hole the mark needs room.
        let file = OpenOptions::new().write(true).open(mail.path()).unwrap();
        file.set_len(1_000_000).unwrap();
        mail.request.recipients[0].offset = 900_000;
        let mut filler = fs::File::create(active.join("filler")).unwrap();
        while filler.write(&[b'x'; 4096]).is_ok() {}
        let mut agent = postfix.start(&[mode]);
        assert_eq!(postfix.serve(&mail).unwrap().status, -1);
        let told = [format!(
            "update active/{}: No space left on device",
            mail.id
        )];
        assert_eq!(postfix.scribe().told("log error: "), told);
        drop(filler);
        fs::remove_file(active.join("filler")).unwrap();
        assert_eq!(postfix.serve(&mail).unwrap().status, 0);
        assert_eq!((mail.marks().as_str(), server.count("TEXT")), ("D", 2));
        assert!(agent.is_there());
    }
}

/// Looks at a file that cannot be opened: nothing is sent, and there is no reply.
fn cannot_open(mode: &str, start: impl Fn(&Postfix) -> Agent, why: &str) {
    let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
    let mail = postfix.mail(&server.nexthop(), &["a@test"]);
    let mut agent = start(&postfix);
    assert!(postfix.serve(&mail).is_none(), "{mode}");
    // What ends a process of Postfix must not end all requests.
    let severity = match mode {
        "mode=classic" => {
            assert_eq!(agent.end().code(), Some(1));
            "fatal"
        }
        _ => {
            greeted(&mut postfix.connect());
            assert!(agent.is_there());
            "error"
        }
    };
    assert!(comes(|| !postfix.scribe().journal().is_empty()));
    let text = format!("log {severity}: open active {}: {why}", mail.id);
    assert_eq!(postfix.scribe().journal(), [text]);
    assert_eq!((mail.marks().as_str(), server.heard().len()), ("R", 0));
}

#[test]
fn a_queue_file_of_somebody_else_is_not_delivered() {
    if !Uid::current().is_root() {
        eprintln!("not root: there is nobody else");
        return;
    }
    for mode in MODES {
        // The files are written by this process.
        let start = |postfix: &Postfix| postfix.start(&["-u", mode]);
        cannot_open(mode, start, "Permission denied");
    }
}

#[test]
fn a_queue_file_on_a_read_only_file_system_is_not_delivered() {
    if !has_own_mounts("scarce::a_queue_file_on_a_read_only_file_system_is_not_delivered") {
        return;
    }
    for mode in MODES {
        // Mounts of the agent, so that the files can be written here. The first word is `exec`.
        let start = |postfix: &Postfix| {
            let wrapper = postfix.folder().join("wrapper");
            let script =
                "#!/bin/sh\nmount --bind active active\nmount -o remount,ro,bind active\n\"$@\"\n";
            fs::write(&wrapper, script).unwrap();
            fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
            postfix.start_behind("exec unshare -m ./wrapper", &[mode])
        };
        cannot_open(mode, start, "Read-only file system");
    }
}

#[test]
fn a_queue_directory_that_vanishes_loses_nobody() {
    for mode in MODES {
        let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
        let mut agent = postfix.start(&[mode]);
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        let mut stream = postfix.connect();
        greeted(&mut stream);
        let (folder, aside) = (
            postfix.folder().join("active"),
            postfix.folder().join("aside"),
        );
        fs::rename(&folder, &aside).unwrap();
        assert_eq!(ask(&mut stream, &mail).unwrap().status, -1, "{mode}");
        drop(stream);
        let text = format!(
            "log warning: open active {}: No such file or directory",
            mail.id
        );
        assert_eq!(postfix.scribe().journal(), [text]);
        fs::rename(&aside, &folder).unwrap();
        assert_eq!(
            (postfix.serve(&mail).unwrap().status, mail.marks().as_str()),
            (0, "D")
        );
        // The sockets of the others vanish in the middle.
        let bad = Server::start(&[("RCPT", "550 5.1.1 no"), ("EHLO", "pause 250 test")]);
        let mail = postfix.mail(&bad.nexthop(), &["a@test"]);
        let mut stream = postfix.connect();
        greeted(&mut stream);
        stream.write_all(&mail.request.encode()).unwrap();
        bad.wait_for("EHLO");
        let (folder, aside) = (
            postfix.folder().join("private"),
            postfix.folder().join("aside"),
        );
        fs::rename(&folder, &aside).unwrap();
        assert_eq!(reply(&mut stream).0.unwrap().status, -1, "{mode}");
        drop(stream);
        fs::rename(&aside, &folder).unwrap();
        assert_eq!(
            (
                mail.marks().as_str(),
                postfix.scribe().told("bounce ").len()
            ),
            ("R", 0)
        );
        assert_eq!(
            (postfix.serve(&mail).unwrap().status, mail.marks().as_str()),
            (0, "D")
        );
        assert!(agent.is_there());
    }
}

const NO_MORE: &str = "log error: accept connection: Too many open files";

/// Serves one request where so many files can be open; returns whether it was done.
fn serve_with_files(limit: u32, mode: &str) -> bool {
    let postfix = Postfix::new("", &[]);
    let server = Server::start(&[("RCPT TO:<bad", "550 5.1.1 no")]);
    let shell = format!("exec 2>stderr; ulimit -n {limit};");
    let mut agent = postfix.start_behind(&shell, &[mode]);
    let mail = postfix.mail(&server.nexthop(), &["a@test", "bad@test"]);
    let mut stream = postfix.connect();
    let told = |start| !postfix.scribe().told(start).is_empty();
    while !is_greeted(&mut stream) && agent.is_there() && !told(NO_MORE) {}
    let mut done = false;
    if told(NO_MORE) {
        assert!(agent.is_there(), "{mode} {limit}");
    } else if agent.is_there() {
        done = ask(&mut stream, &mail).is_some_and(|reply| reply.status == 0);
    } else {
        assert!(!agent.end().success(), "{mode} {limit}");
    }
    assert_eq!(mail.marks() == "DD", done, "{mode} {limit}");
    let said = fs::read_to_string(postfix.folder().join("stderr")).unwrap();
    assert!(!said.contains("panicked"), "{mode} {limit}: {said}");
    assert!(!told("log panic"), "{mode} {limit}");
    done
}

#[test]
fn with_few_descriptors_requests_are_served_or_tried_again() {
    for mode in MODES {
        let limits = 7..26;
        let count = thread::scope(|scope| {
            let each = limits.map(|limit| scope.spawn(move || serve_with_files(limit, mode)));
            let each: Vec<_> = each.collect();
            each.into_iter()
                .map(|one| one.join().unwrap())
                .filter(|done| *done)
                .count()
        });
        assert!((5..19).contains(&count), "{mode} {count}");
    }
}

#[test]
fn a_worker_without_descriptors_accepts_when_it_has_some_again() {
    let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
    fs::write(
        postfix.folder().join("master.cf"),
        "smtp unix - - n - 100 smtp\n",
    )
    .unwrap();
    let mut agent = postfix.start_behind("ulimit -n 32;", &["mode=shared"]);
    let mut first = postfix.connect();
    greeted(&mut first);
    let mut streams: Vec<UnixStream> = (0..40).map(|_| postfix.connect()).collect();
    assert!(comes(|| !postfix.scribe().told(NO_MORE).is_empty()));
    // It does not turn in a circle.
    thread::sleep(Duration::from_secs(2));
    assert!(postfix.scribe().told(NO_MORE).len() <= 5);
    // Whoever is accepted is served, or told that there is not enough.
    let mail = postfix.mail(&server.nexthop(), &["a@test"]);
    let done = ask(&mut first, &mail).is_some_and(|reply| reply.status == 0);
    assert_eq!(mail.marks() == "D", done);
    for stream in &mut streams {
        greeted(stream);
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    let mail = postfix.mail(&server.nexthop(), &["a@test"]);
    assert_eq!(
        (postfix.serve(&mail).unwrap().status, mail.marks().as_str()),
        (0, "D")
    );
    assert!(agent.is_there());
}

#[test]
fn a_standard_error_that_takes_nothing_is_no_reason_to_end() {
    for mode in MODES {
        for shell in ["exec 2>/dev/full;", "exec 2>&-;"] {
            let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
            let mut agent = postfix.start_behind(shell, &["-V", mode]);
            let mail = postfix.mail(&server.nexthop(), &["a@test"]);
            assert_eq!(
                (postfix.serve(&mail).unwrap().status, mail.marks().as_str()),
                (0, "D")
            );
            assert!(agent.is_there());
        }
    }
}

const FATAL: &str = "log fatal: watchdog timeout";

/// Does the same in both modes at once: it takes a while.
fn in_both_modes(test: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for mode in MODES {
            scope.spawn(|| test(mode));
        }
    });
}

#[test]
fn a_process_in_which_nothing_moves_ends() {
    in_both_modes(|mode| {
        let postfix = Postfix::new("daemon_timeout = 1s\n", &[]);
        let mut agent = postfix.start(&[mode]);
        // To wait for connections is no standstill.
        thread::sleep(Duration::from_secs(3));
        let mut stream = postfix.connect();
        greeted(&mut stream);
        let server = agent.server();
        // The guard of a worker that has served somebody says that all is well.
        assert_eq!(agent.end().success(), mode == "mode=shared");
        assert!(!lives(server));
        assert_eq!(postfix.scribe().journal(), [FATAL], "{mode}");
    });
}

#[test]
fn a_request_in_which_nothing_moves_lets_the_others_be_finished_and_no_more_come() {
    let postfix = Postfix::new("daemon_timeout = 3s\n", &[]);
    let server = Server::start(&[]);
    let mut agent = postfix.start(&["mode=shared"]);
    let (mut stuck, mut alive) = (postfix.connect(), postfix.connect());
    greeted(&mut stuck);
    greeted(&mut alive);
    let worker = agent.server();
    let mail = postfix.mail(&server.nexthop(), &["a@test"]);
    let bytes = mail.request.encode();
    let mut bytes = bytes.chunks(1);
    while agent.is_there() {
        alive.write_all(bytes.next().unwrap()).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    assert!(agent.end().success());
    assert!(!is_greeted(&mut postfix.connect()));
    assert!(lives(worker));
    alive
        .write_all(&bytes.collect::<Vec<_>>().concat())
        .unwrap();
    let status = reply(&mut alive).0.unwrap().status;
    assert_eq!((status, mail.marks().as_str()), (0, "D"));
    drop(alive);
    assert!(comes(|| !lives(worker)));
    assert_eq!(postfix.scribe().told(FATAL).len(), 1);
}

#[test]
fn a_process_ends_even_if_the_last_words_cannot_be_said() {
    in_both_modes(|mode| {
        let postfix = Postfix::new("daemon_timeout = 1s\n", &[]);
        let server = Server::start(&[]);
        let pipe = postfix.folder().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK);
        let mut end = options.open(&pipe).unwrap();
        while end.write(&[b'x'; 4096]).is_ok() {}
        let mut agent = postfix.start_behind("exec 2>pipe;", &["-V", mode]);
        let mail = postfix.mail(&server.nexthop(), &["a@test"]);
        let mut stream = postfix.connect();
        greeted(&mut stream);
        let worker = agent.server();
        assert!(ask(&mut stream, &mail).is_none(), "{mode}");
        let status = agent.end();
        assert_eq!(
            status.signal().is_some(),
            mode == "mode=classic",
            "{status}"
        );
        assert!(comes(|| !lives(worker)), "{mode}");
        // It was sent, and neither logged nor marked.
        assert_eq!((mail.marks().as_str(), server.count("TEXT")), ("R", 1));
    });
}
