//! `outpost sink`: a small SMTP or LMTP server for trying things out.
//!
//! It takes every message, unless a fault says otherwise. It is not a mail
//! server: it neither checks nor delivers anything.

pub(crate) mod dialogue;
pub(crate) mod fault;
pub(crate) mod maildir;
pub(crate) mod serve;
mod text;

use std::{
    io::{self, Write},
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::Context;
use smtp_policy::report::printable;

use crate::{
    cli::SinkArgs,
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    output::Output,
    settings,
};
use dialogue::Manner;
use maildir::{Draft, Maildir};
use serve::{Listener, Received, Who};

/// Serves until it is interrupted.
pub(crate) fn run(args: &SinkArgs) -> Result<Exit, Failure> {
    let faults = args
        .fault
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>();
    let faults = faults.or_exit(Exit::Usage)?;
    let maildir = match &args.maildir {
        None => None,
        Some(folder) => {
            let opened = Maildir::open(folder);
            let wanted = || format!("cannot make the maildir {}", folder.display());
            Some(opened.with_context(wanted).or_exit(Exit::System)?)
        }
    };
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::System)?;
    let address = listener.local_addr().or_exit(Exit::System)?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;

    let output = Arc::new(Mutex::new(Output::default()));
    let sink = Arc::new(Sink {
        maildir,
        output: Arc::clone(&output),
        interrupt: interrupt.clone(),
    });
    let served = Arc::clone(&sink);
    let protocol = if args.lmtp { "LMTP" } else { "SMTP" };
    sink.say(&format!("listening on {address} ({protocol})"));
    let manner = Manner {
        name: settings::host_name(),
        lmtp: args.lmtp,
        faults,
    };
    thread::Builder::new()
        .name("listener".to_owned())
        .spawn(move || serve::serve(listener, manner, served))
        .or_exit(Exit::System)?;

    interrupt.wait();
    if let Some(maildir) = &sink.maildir {
        maildir.close();
    }
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *output).finish(Exit::Ok)
}

/// Prints a line for each message, and keeps it if there is a maildir.
struct Sink {
    maildir: Option<Maildir>,
    output: Arc<Mutex<Output>>,
    interrupt: Interrupt,
}

impl Sink {
    fn say(&self, line: &str) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.line(line);
        if !output.is_sound() {
            self.interrupt.raise();
        }
    }
}

/// The text of a message on its way into a maildir or nowhere.
struct Text(Option<Draft>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(draft) => draft.file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Listener for Sink {
    type Text = Text;

    fn line(&self, who: Who, line: &str) {
        match who {
            Who::Client => tracing::debug!("C: {}", printable(line)),
            Who::Server => tracing::debug!("S: {}", printable(line)),
        }
    }

    fn begin(&self, number: u64) -> io::Result<Text> {
        self.maildir
            .as_ref()
            .map(|maildir| maildir.begin(number))
            .transpose()
            .map(Text)
    }

    fn keep(&self, message: Received<Text>) -> io::Result<()> {
        let Received {
            number,
            peer,
            envelope,
            text,
            length,
        } = message;
        let file = match (&self.maildir, text.0) {
            (Some(maildir), Some(draft)) => format!(" file={}", maildir.keep(draft)?.display()),
            _ => String::new(),
        };
        let to: Vec<String> = envelope
            .recipients
            .iter()
            .map(|to| format!("<{to}>"))
            .collect();
        let (helo, from, to) = (envelope.helo, envelope.sender, to.join(","));
        self.say(&format!(
            "{number}: client={peer} helo={helo} from=<{from}> to={to} bytes={length}{file}"
        ));
        Ok(())
    }
}
