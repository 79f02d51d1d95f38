//! The records of a session: verbose lines for chosen peers
//! (`debug_peer_list`), and the transcript for the postmaster
//! (`notify_classes`; `src/smtp/smtp_chat.c`, `src/smtp/smtp_connect.c`,
//! smtp_cleanup_session).

use smtp_proto::{address::ReversePath, reply::Reply, session::Said};

use crate::{
    channel::{Channel, Peer},
    delivery::context::Context,
    event::Event,
    report::{Notice, transcript::Transcript},
};

/// The part of a reply line that a verbose line shows, in characters.
const SHOWN: usize = 100;

/// The records that a session has to keep of itself.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The dialogue, if the postmaster may want to see it.
    transcript: Option<Transcript>,
    /// Says whether each line is also a line for the log.
    verbose: bool,
    /// True if there is a line for the text too, with its length.
    counts_text: bool,
    /// The server broke the protocol, or we did.
    protocol_error: bool,
    /// A look-up of ours failed.
    data_error: bool,
}

impl Records {
    /// Begins to write down a session with this peer.
    pub(super) fn new(cx: &Context, peer: &Peer) -> Self {
        let notify = cx.settings.verdict.notify;
        let tells_all = cx.policy.tells_dialogue();
        Self {
            transcript: (notify.protocol || notify.data).then(Transcript::default),
            verbose: tells_all || cx.settings.is_debug_peer(&peer.server),
            counts_text: tells_all,
            ..Self::default()
        }
    }

    /// Returns whether the session is to write the dialogue down.
    pub(super) fn are_kept(&self) -> bool {
        self.verbose || self.transcript.is_some()
    }

    /// Takes what was said since the last time.
    pub(super) fn take_down(&mut self, cx: &mut Context, channel: &mut Channel) {
        let said = channel.session.take_journal();
        if said.is_empty() {
            return;
        }
        if let Some(transcript) = &mut self.transcript {
            said.iter().for_each(|said| transcript.add(said));
        }
        if self.verbose {
            for said in said {
                let server = channel.peer.server();
                match said {
                    Said::Client(line) => cx.note(Event::Said { server, line }),
                    Said::Server(line) => {
                        let line = line.chars().take(SHOWN).collect();
                        cx.note(Event::Heard { server, line });
                    }
                    // Replacements have a line in the log in any case.
                    Said::Replacement(_) => {}
                }
            }
        }
    }

    /// The text is complete: what stands for it in the dialogue. Postfix shows nothing, so
    /// that this is for `Policy::with_dialogue` only.
    pub(super) fn take_down_text(&self, cx: &mut Context, peer: &Peer, count: u64) {
        if self.counts_text {
            cx.note(Event::TextSent {
                server: peer.server(),
                bytes: count,
            });
        }
    }

    /// The session failed because a look-up of ours did.
    pub(super) const fn record_data_error(&mut self) {
        self.data_error = true;
    }

    /// The server broke the protocol.
    pub(super) const fn record_protocol_error(&mut self) {
        self.protocol_error = true;
    }

    /// The session is over for this message: a notice for the postmaster, if it
    /// went wrong in a way that the postmaster wants to hear of. Not if the message
    /// is a notice itself.
    pub(super) fn notify_postmaster(&mut self, cx: &mut Context, channel: &mut Channel) {
        self.take_down(cx, channel);
        let notify = cx.settings.verdict.notify;
        let wanted = (self.protocol_error && notify.protocol) || (self.data_error && notify.data);
        let transcript = match &self.transcript {
            Some(transcript) if wanted => transcript,
            _ => return,
        };
        let double_bounce = local_address(cx, &cx.settings.identity.double_bounce);
        let is_mail = match &cx.request.sender {
            ReversePath::Null => false,
            ReversePath::Mailbox(sender) => sender.as_str() != double_bounce,
        };
        if !is_mail {
            return;
        }
        let notice = Box::new(Notice {
            protocol: cx.request.protocol,
            mail_name: cx.settings.identity.mail_name.clone(),
            sender: double_bounce,
            from: local_address(cx, "MAILER-DAEMON"),
            recipient: cx.settings.identity.postmaster.clone(),
            relay: channel.peer.relay(),
            transcript: transcript.lines(),
        });
        cx.note(Event::PostmasterNotice { notice });
    }
}

/// Returns whether a reply that is blamed on the server says more about the dialogue than about
/// the mail (`src/smtp/smtp_trouble.c`, smtp_check_code).
pub(super) fn is_strange(reply: &Reply) -> bool {
    let code = reply.code();
    !(400..=599).contains(&code) || code == 555 || (500..510).contains(&code)
}

/// An address of this machine's own (`src/global/mail_addr.c`).
fn local_address(cx: &Context, name: &str) -> String {
    format!("{name}@{}", cx.settings.identity.host)
}
