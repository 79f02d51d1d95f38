//! `outpost queue`: the program `outpost-queue`, which is one of its own, so that this one stays small. Also the way into it for
//! `outpost sendmail`, as postdrop(1) is for sendmail(1): envelope and text go through a pipe.

use std::{
    env,
    ffi::OsString,
    io::{self, Read, Write},
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
};

use anyhow::Context;
use outpost::{Envelope, Message, Outcome, Report, Status, TextSource};
use smtp_policy::{Protocol, report::printable, request::Nexthop};
use smtp_proto::{EnhancedStatus, Secret};

use crate::{
    cli::QueueArgs,
    exit::{Exit, Failure, OrExit},
};

/// The name of the program.
pub(crate) const PROGRAM: &str = "outpost-queue";
/// The environment variable that names the store. Other users do not see it, while they see a command line.
const STORE: &str = "OUTPOST_STORE";
/// The number of bytes of a text that are read at a time.
const CHUNK: usize = 64 * 1024;
/// The most bytes of the answer, which is a queue id.
const ANSWER: u64 = 1024;

/// Runs the program in the place of this one.
pub(crate) fn run(args: &QueueArgs) -> Result<Exit, Failure> {
    let mut command = Command::new(program());
    command.args(&args.arguments);
    become_it(command)
}

/// The program: beside this one, else wherever the system finds it.
fn program() -> OsString {
    let beside = || -> Option<PathBuf> {
        let here = env::current_exe().ok()?;
        let name = format!("{PROGRAM}{}", env::consts::EXE_SUFFIX);
        let path = here.parent()?.join(name);
        path.is_file().then_some(path)
    };
    beside().map_or_else(|| PROGRAM.into(), PathBuf::into_os_string)
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<Exit, Failure> {
    Err(missing(&std::os::unix::process::CommandExt::exec(
        &mut command,
    )))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<Exit, Failure> {
    let status = command.status().map_err(|error| missing(&error))?;
    // What it had to say was said.
    std::process::exit(status.code().unwrap_or(i32::from(Exit::Software.status())))
}

fn missing(error: &io::Error) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{PROGRAM} is neither beside this program nor in PATH: it comes with the package {PROGRAM}, or by \
             'cargo install {PROGRAM} --features cli'"
        ),
        _ => format!("cannot run {PROGRAM}: {error}"),
    };
    Failure::new(Exit::Bounced, what)
}

/// A queue that an account names.
#[derive(Clone, Debug)]
pub(crate) struct QueuePlace {
    /// The address of the store, which may have a password in it; none: the default one.
    pub(crate) store: Option<Secret>,
}

impl QueuePlace {
    /// A call of the program for this store.
    fn command(&self) -> Command {
        let mut command = Command::new(program());
        if let Some(store) = &self.store {
            // It was a text in the file.
            command.env(STORE, &*String::from_utf8_lossy(store.expose()));
        }
        command
    }

    /// Lists the queue in the place of this program.
    pub(crate) fn list(&self) -> Result<Exit, Failure> {
        let mut command = self.command();
        command.arg("list");
        become_it(command)
    }

    /// Puts a message into the queue: all recipients, or none.
    ///
    /// # Errors
    /// The program's words, with its exit status.
    pub(crate) fn submit(&self, envelope: Envelope, message: &Message) -> Result<Report, Failure> {
        let recipients = envelope.recipients.clone();
        let any = Nexthop::parse("localhost").or_exit(Exit::Software)?;
        let request = envelope.request(Protocol::Smtp, any, message.facts());
        let head = serde_json::to_string(&request).or_exit(Exit::Software)?;
        let mut child = self
            .command()
            .args(["submit", "--pipe"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&error))?;
        let written = child
            .stdin
            .take()
            .map_or(Ok(()), |input| give(input, &head, message));
        let mut answer = String::new();
        if let Some(output) = child.stdout.take() {
            // It may be none, if the program fails.
            let _ = output.take(ANSWER).read_to_string(&mut answer);
        }
        let status = child
            .wait()
            .with_context(|| format!("cannot wait for {PROGRAM}"))
            .or_exit(Exit::System)?;
        // Of a program that fails, that is the reason, and a broken pipe its consequence.
        if !status.success() {
            let exit = status.code().map_or(Exit::Deferred, exit_of);
            let what = format!("{PROGRAM} has not taken the message: {status}");
            return Err(Failure::new(exit, what));
        }
        written
            .with_context(|| format!("cannot write to {PROGRAM}"))
            .or_exit(Exit::Deferred)?;
        let text = format!("queued as {}", printable(answer.trim()));
        let outcome = Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), text);
        let settled = recipients.into_iter().map(|one| (one, outcome.clone()));
        Ok(Report::new(settled.collect()))
    }
}

/// Writes a line with the envelope, and the text behind it.
fn give(mut input: ChildStdin, head: &str, message: &Message) -> io::Result<()> {
    input.write_all(head.as_bytes())?;
    input.write_all(b"\n")?;
    let mut text = message.text();
    let mut offset = 0;
    loop {
        let chunk = text.read(offset, CHUNK)?;
        if chunk.is_empty() {
            return input.flush();
        }
        offset += chunk.len() as u64;
        input.write_all(&chunk)?;
    }
}

/// The exit status for that of the program, which has the numbers of `sysexits.h` too.
fn exit_of(status: i32) -> Exit {
    const KNOWN: [Exit; 7] = [
        Exit::Usage,
        Exit::Data,
        Exit::Bounced,
        Exit::Software,
        Exit::System,
        Exit::Config,
        Exit::Deferred,
    ];
    let same = |exit: &Exit| i32::from(exit.status()) == status;
    // The mail stays with the caller, who may try again.
    KNOWN.into_iter().find(same).unwrap_or(Exit::Deferred)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_kept_and_others_mean_later() {
        for (status, exit) in [
            (64, Exit::Usage),
            (65, Exit::Data),
            (69, Exit::Bounced),
            (78, Exit::Config),
            (75, Exit::Deferred),
            (1, Exit::Deferred),
            (101, Exit::Deferred),
        ] {
            assert_eq!(exit_of(status), exit, "{status}");
        }
    }
}
