//! What is written down about a session: verbose lines for chosen peers
//! (`debug_peer_list`), and the transcript for the postmaster
//! (`notify_classes`; `src/smtp/smtp_chat.c`, `src/smtp/smtp_connect.c`,
//! smtp_cleanup_session).

use smtp_proto::{address::ReversePath, reply::Reply, session::Said};

use super::{Delivery, Note, hosts::Phase};
use crate::{
    channel::Peer,
    report::{Notice, transcript::Transcript},
};

/// How much of a reply line a verbose line shows, in characters.
const SHOWN: usize = 100;

/// What a session has to tell about itself.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The dialogue, if the postmaster may want to see it.
    transcript: Option<Transcript>,
    /// Whether each line is also a line for the log.
    verbose: bool,
    /// True if there is a line for the text too, with its length.
    counts_text: bool,
    /// The server broke the protocol, or we did.
    protocol_error: bool,
    /// A look-up of ours failed.
    data_error: bool,
}

impl Records {
    /// Whether the session is to write the dialogue down.
    pub(super) fn are_kept(&self) -> bool {
        self.verbose || self.transcript.is_some()
    }
}

impl Delivery {
    /// What is to be written down about a session with this peer.
    pub(super) fn records(&self, peer: &Peer) -> Records {
        let notify = self.settings.verdict.notify;
        let is_verbose = self.policy.tells_dialogue();
        Records {
            transcript: (notify.protocol || notify.data).then(Transcript::default),
            verbose: is_verbose || self.settings.is_debug_peer(&peer.host, &peer.address),
            counts_text: is_verbose,
            ..Records::default()
        }
    }

    /// Takes what was said since the last time.
    pub(super) fn take_down(&mut self) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let said = talk.channel.session.take_journal();
        if let Some(transcript) = &mut talk.records.transcript {
            said.iter().for_each(|said| transcript.add(said));
        }
        if talk.records.verbose {
            let relay = talk.channel.peer.relay();
            for line in said.iter().filter_map(|said| verbose_line(&relay, said)) {
                self.note(Note::debug(line));
            }
        }
    }

    /// The text is complete: what stands for it in the dialogue. Postfix shows nothing, so
    /// that this is for `Policy::with_dialogue` only.
    pub(super) fn take_down_text(&mut self) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        if let (true, Some(pipe)) = (talk.records.counts_text, &talk.pipe) {
            let (relay, count) = (talk.channel.peer.relay(), pipe.offset());
            self.note(Note::debug(format!(
                "> {relay}: [message text of {count} bytes]"
            )));
        }
    }

    /// A reply was blamed on the server. Some say more about the dialogue than
    /// about the mail (`src/smtp/smtp_trouble.c`, smtp_check_code).
    pub(super) fn check_reply(&mut self, reply: &Reply) {
        let code = reply.code();
        let strange = !(400..=599).contains(&code) || code == 555 || (500..510).contains(&code);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.records.protocol_error |= strange;
        }
    }

    /// The session failed because a look-up of ours did.
    pub(super) fn record_data_error(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.records.data_error = true;
        }
    }

    /// The server broke the protocol.
    pub(super) fn record_protocol_error(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.records.protocol_error = true;
        }
    }

    /// The session is over for this message: a notice for the postmaster, if it
    /// went wrong in a way that the postmaster wants to hear of. Not if the message
    /// is a notice itself.
    pub(super) fn notify_postmaster(&mut self) {
        self.take_down();
        let double_bounce = self.local_address(&self.settings.identity.double_bounce);
        let is_mail = match &self.request.sender {
            ReversePath::Null => false,
            ReversePath::Mailbox(sender) => sender.as_str() != double_bounce,
        };
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let (records, notify) = (&talk.records, self.settings.verdict.notify);
        let wanted =
            (records.protocol_error && notify.protocol) || (records.data_error && notify.data);
        let transcript = match &records.transcript {
            Some(transcript) if wanted && is_mail => transcript.lines(),
            _ => return,
        };
        let relay = talk.channel.peer.relay();
        let text = format!("errors from {relay}: the postmaster is to be notified");
        let notice = Notice {
            protocol: self.request.protocol,
            mail_name: self.settings.identity.mail_name.clone(),
            sender: double_bounce,
            from: self.local_address("MAILER-DAEMON"),
            recipient: self.settings.identity.postmaster.clone(),
            relay,
            transcript,
        };
        self.note(Note::notice(text, notice));
    }

    fn local_address(&self, name: &str) -> String {
        format!("{name}@{}", self.settings.identity.origin)
    }
}

fn verbose_line(relay: &str, said: &Said) -> Option<String> {
    match said {
        Said::Client(line) => Some(format!("> {relay}: {line}")),
        Said::Server(line) => {
            let shown: String = line.chars().take(SHOWN).collect();
            Some(format!("< {relay}: {shown}"))
        }
        // Replacements have a line in the log in any case.
        Said::Replacement(_) => None,
    }
}
