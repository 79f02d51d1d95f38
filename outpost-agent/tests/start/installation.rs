//! A Postfix to start the agent in: main.cf, master.cf, the folders of a queue, the socket of the log, and what
//! master(8) hands down.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{PermissionsExt, symlink},
            net::{UnixDatagram, UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// The program, and the descriptors as master(8) numbers them.
const START: &str = "exec 5<&0 6<&1 </dev/null >/dev/null; exec \"$0\" \"$@\"";
/// A user without rights.
const NOBODY: u32 = 65534;

pub(crate) struct Installation {
    folder: TempDir,
    log: UnixDatagram,
}

impl Installation {
    /// An installation with these lines in main.cf, and in master.cf.
    pub(crate) fn new(main_cf: &str, master_cf: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        for name in [
            "queue",
            "queue/active",
            "queue/pid",
            "queue/private",
            "queue/public",
            "sbin",
        ] {
            fs::create_dir(root.join(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_outpost-agent"), root.join("sbin/smtp")).unwrap();
        let log = UnixDatagram::bind(root.join("queue/public/postlog")).unwrap();
        let socket = root.join("queue/public/postlog");
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
        log.set_nonblocking(true).unwrap();
        let installation = Self { folder, log };
        installation.write("main.cf", &format!("{}{main_cf}", installation.settings()));
        installation.write("master.cf", master_cf);
        installation
    }

    /// The settings of every main.cf, three lines.
    fn settings(&self) -> String {
        let root = self.root().display();
        format!(
            "queue_directory = {root}/queue\ndaemon_directory = {root}/sbin\n\
             maillog_file = /dev/null\ncompatibility_level = 3.6\nmyhostname = mx.test\n\
             mail_owner = nobody\n"
        )
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Asks the program something: what it says, and its exit status.
    pub(crate) fn ask(&self, words: &[&str]) -> (String, i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_outpost-agent"))
            .args(words)
            .env("MAIL_CONFIG", self.root())
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let root = self.root().to_str().unwrap();
        (text.replace(root, "ROOT"), output.status.code().unwrap())
    }

    /// Starts the agent as master(8) does, with a status channel that has ended: it leaves as soon as it is ready. The lines
    /// of the log behind the process number, and the exit status.
    pub(crate) fn start(&self, words: &[&str]) -> (Vec<String>, i32) {
        self.finish(&mut self.command(words), drop)
    }

    /// The same, by somebody who is not root.
    pub(crate) fn start_as_nobody(&self, words: &[&str]) -> (Vec<String>, i32) {
        self.finish(self.command(words).uid(NOBODY).gid(NOBODY), drop)
    }

    /// The same with a master(8) that stays until the agent ends by itself.
    pub(crate) fn run(&self, words: &[&str]) -> (Vec<String>, i32) {
        let mut master = None;
        self.finish(&mut self.command(words), |channel| master = Some(channel))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", START])
            .arg(self.path("sbin/smtp"))
            .args(["-t", "unix"])
            .args(words)
            .current_dir("/")
            .env_clear()
            .env("MAIL_CONFIG", self.root())
            .env("POSTLOG_SERVICE", self.path("queue/public/postlog"))
            .env("POSTLOG_HOSTNAME", "mx.test");
        command
    }

    /// Waits for the end of the agent. `keep` gets master's end of the status channel.
    fn finish(&self, command: &mut Command, keep: impl FnOnce(UnixStream)) -> (Vec<String>, i32) {
        let (status, other) = UnixStream::pair().unwrap();
        let socket = self.path("queue/private/smtp");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(socket).unwrap();
        keep(other);
        let Output { status, stderr, .. } = command
            .stdin(Stdio::from(OwnedFd::from(status)))
            .stdout(Stdio::from(OwnedFd::from(listener)))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&stderr), "");
        (self.logged(), status.code().unwrap())
    }

    fn logged(&self) -> Vec<String> {
        let (mut lines, mut bytes) = (Vec::new(), [0; 4096]);
        let root = self.root().to_str().unwrap();
        while let Ok(length) = self.log.recv(&mut bytes) {
            let line = String::from_utf8_lossy(&bytes[..length]);
            let (head, text) = line.split_once("]: ").unwrap();
            assert!(head.contains(" mx postfix/smtp["), "{head}");
            lines.push(text.replace(root, "ROOT"));
        }
        lines
    }
}

/// Returns whether the tests run as root, without which no rights can be given up.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
