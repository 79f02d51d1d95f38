//! `outpost demo`: a delivery to a server inside this program, shown from both
//! sides.

use std::{
    fmt::Write,
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use outpost::{Message, message::Text};
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    line_ends::StrayCr,
    report::{Report, Status},
    request::{Recipient, Request},
    text::TextSource,
};
use smtp_proto::address::{Address, ReversePath};

use crate::{
    cli::{DemoArgs, Runtime},
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    job::Job,
    output::Output,
    progress::Progress,
    report::{self, Tally},
    runtime::Worker,
    sink::{
        dialogue::Manner,
        serve::{self, Listener, Received, Who},
    },
    watch::{Voice, Watch},
};

const MESSAGE: &[u8] = include_bytes!("message.eml");
const SENDER: &str = "demo@outpost.example";
/// The recipients and what is to become of them.
const RECIPIENTS: [(&str, Status); 3] = [
    ("alice@demo.example", Status::Sent),
    ("nobody@demo.example", Status::Bounced),
    ("bob@demo.example", Status::Sent),
];
const FAULT: &str = "RCPT <nobody@=550 5.1.1 <nobody@demo.example>: no such mailbox here";
/// The demonstration needs no parameter file, and nothing of this machine's
/// names and addresses.
const MAIN_CF: &str = "myhostname = client.outpost.example\ninet_interfaces = 127.0.0.1\n";

/// The time that the server may take to see the end of the connection.
const LAG: Duration = Duration::from_millis(500);

/// Delivers the message, shows what happened, and checks that it is what was to
/// happen.
pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let (message, name) = match &args.message {
        Some(path) => (
            Message::open(path).or_exit(Exit::Data)?,
            path.display().to_string(),
        ),
        None => (Message::exact(MESSAGE), "built in".to_owned()),
    };
    let (server, recorder) = start_sink().or_exit(Exit::System)?;
    let runtime = match args.runtime {
        Runtime::Tokio => "tokio",
        Runtime::Smol => "smol",
        Runtime::Blocking => "blocking",
    };
    let mut output = Output::default();
    output.text(&format!(
        "A real delivery, all inside this program.\n\n  \
         message    {name}, {} bytes\n  client     Outpost on the {runtime} runtime\n  \
         server     embedded sink on {server} (no network is used)\n\n",
        message.facts().length
    ));

    let start = Instant::now();
    let report = deliver(args.runtime, server, message.clone())?;
    let time = start.elapsed();

    let seen = recorder.complete();
    output.text(&dialogue(&seen.lines));
    let mut verdicts = String::from("Verdicts, one for each recipient\n\n");
    verdicts += &report::text::blocks(&report);
    output.text(&verdicts);
    let delivered = compare(&seen.messages, &message.text()).or_exit(Exit::Data)?;
    output.line(format_args!("The sink received {}", delivered.words()));
    let planned = as_planned(&report);
    let settled = [Ok(report)];
    let word = if planned {
        "as planned"
    } else {
        "NOT as planned"
    };
    let seconds = time.as_secs_f64();
    output.line(format_args!(
        "{}, {word}, in {seconds:.3} s.",
        Tally::of(&settled)
    ));

    let good = planned && (delivered.is_identical() || args.message.is_some());
    output.finish(if good { Exit::Ok } else { Exit::Software })
}

fn start_sink() -> io::Result<(SocketAddr, Arc<Recorder>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let recorder = Arc::new(Recorder::default());
    let manner = Manner {
        name: "sink.demo.example".to_owned(),
        lmtp: false,
        faults: FAULT.parse().into_iter().collect(),
    };
    let events = Arc::clone(&recorder);
    thread::Builder::new()
        .name("sink".to_owned())
        .spawn(move || serve::serve(listener, manner, events))?;
    Ok((address, recorder))
}

fn deliver(runtime: Runtime, server: SocketAddr, message: Message) -> Result<Report, Failure> {
    let main_cf = MainCf::parse(MAIN_CF, "demo", Path::new(".")).or_exit(Exit::Software)?;
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).or_exit(Exit::Software)?;
    let worker = Worker::start(runtime, Arc::new(policy)).or_exit(Exit::System)?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    interrupt.on_first(worker.canceller());

    let address = |text| Address::parse(text).or_exit(Exit::Software);
    let recipients = RECIPIENTS
        .iter()
        .map(|(recipient, _)| address(recipient).map(Recipient::new))
        .collect::<Result<_, _>>()?;
    let sender = ReversePath::Mailbox(address(SENDER)?);
    let nexthop = format!("[{}]:{}", server.ip(), server.port());
    let nexthop = nexthop.parse().or_exit(Exit::Software)?;
    let mut request = Request::new(Protocol::Smtp, nexthop, sender, recipients);
    request.id = "demo".parse().or_exit(Exit::Software)?;
    request.encoding = message.facts().encoding();
    // The line ends have been read already.
    request.stray_cr = StrayCr::Pass;
    request.smtputf8 = message.facts().header_utf8;
    let Job {
        request,
        text,
        length,
        ..
    } = Job::new(request, message);

    let progress = Progress::start("demo", length, request.recipients.len());
    let watch = Watch::new(&request, Voice::Silent, progress.clone());
    let report = worker.deliver(request, text, watch);
    progress.end();
    worker.close();
    Ok(report)
}

fn as_planned(report: &Report) -> bool {
    let planned = RECIPIENTS.iter().map(|(_, status)| *status);
    report
        .recipients
        .iter()
        .map(|(_, outcome)| outcome.status)
        .eq(planned)
}

/// The dialogue as the server saw it.
fn dialogue(lines: &[(Who, String)]) -> String {
    let mut out = String::from("Dialogue, as the server saw it\n\n");
    for (who, line) in lines {
        let who = match who {
            Who::Client => "C",
            Who::Server => "S",
        };
        let _ = writeln!(out, "  {who}: {line}");
    }
    out.push('\n');
    out
}

/// The comparison of what the sink received with what was sent.
enum Delivered {
    Identical { length: usize, recipients: String },
    Different { sent: usize, received: usize },
    NotOnce(usize),
}

impl Delivered {
    fn words(&self) -> String {
        match self {
            Self::Identical { length, recipients } => {
                format!("one message for {recipients}: {length} bytes, identical to what was sent.")
            }
            Self::Different { sent, received } => format!(
                "{received} bytes where {sent} were sent: lines were changed on the way \
                 (see smtp_line_length_limit)."
            ),
            Self::NotOnce(count) => format!("{count} messages."),
        }
    }

    fn is_identical(&self) -> bool {
        matches!(self, Self::Identical { .. })
    }
}

fn compare(messages: &[Received<Vec<u8>>], text: &Text) -> io::Result<Delivered> {
    let [message] = messages else {
        return Ok(Delivered::NotOnce(messages.len()));
    };
    let mut text = text.clone();
    let mut sent = Vec::new();
    loop {
        let chunk = text.read(sent.len() as u64, 64 * 1024)?;
        if chunk.is_empty() {
            break;
        }
        sent.extend_from_slice(&chunk);
    }
    // A message always arrives with its last line ended.
    if sent.last().is_some_and(|last| *last != b'\n') {
        sent.push(b'\n');
    }
    Ok(if message.text == sent {
        let recipients = message.envelope.recipients.join(" and ");
        Delivered::Identical {
            length: sent.len(),
            recipients,
        }
    } else {
        Delivered::Different {
            sent: sent.len(),
            received: message.text.len(),
        }
    })
}

/// Remembers what the sink saw.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Seen>,
    over: Condvar,
}

#[derive(Default)]
struct Seen {
    lines: Vec<(Who, String)>,
    messages: Vec<Received<Vec<u8>>>,
    over: bool,
}

impl Recorder {
    /// Returns what was seen in a whole connection. The client does not wait for the
    /// answer to its QUIT, so the server may be a little behind.
    fn complete(&self) -> MutexGuard<'_, Seen> {
        let over = self
            .over
            .wait_timeout_while(self.seen(), LAG, |seen| !seen.over);
        over.unwrap_or_else(PoisonError::into_inner).0
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Recorder {
    type Text = Vec<u8>;

    fn line(&self, who: Who, line: &str) {
        self.seen().lines.push((who, line.to_owned()));
    }

    fn begin(&self, _number: u64) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn keep(&self, message: Received<Vec<u8>>) -> io::Result<()> {
        self.seen().messages.push(message);
        Ok(())
    }

    fn ended(&self) {
        self.seen().over = true;
        self.over.notify_all();
    }
}
