//! The kinds of events, as a table: name, facts, severity and line of each.

use core::fmt::Write;
use std::sync::Arc;

use smtp_proto::{
    reply::Reply,
    session::{PixWorkarounds, Stage},
};

use super::{About, Level};
use crate::{
    Protocol,
    report::{LogText, Notice, TlsResult, TlsSummary},
    request::{QueueId, ServiceName},
    server::{ConnectError, Server},
    survey::Finding,
    tables::TableFailure,
    tls::Problem,
};

/// Makes [`Event`] of a table: each row has the facts, the severity and the words of a
/// line. The words are what follows the formatter in `write!`.
macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$about:meta])* $fact:ident: $type:ty),* $(,)? }
            => $level:ident, ($($words:tt)+);
    )*) => {
        /// Something that happened in a delivery. See the [module](super).
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Serialize),
            serde(tag = "event", rename_all = "kebab-case")
        )]


        #[non_exhaustive]
        pub enum Event {
            $($(#[$doc])* $name { $($(#[$about])* $fact: $type),* },)*
        }

        impl Event {
            /// The severity, unless a parameter gives the event another
            /// ([`Note::level`](super::Note::level)).
            pub const fn level(&self) -> Level {
                match self {
                    $(Self::$name { .. } => Level::$level,)*
                }
            }

            /// The name of the kind, as it is here.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }

            #[expect(unused_variables, reason = "not every line tells all the facts")]
            pub(super) fn words(&self, line: &mut dyn Write) -> core::fmt::Result {
                match self {
                    $(Self::$name { $($fact),* } => write!(line, $($words)+),)*
                }
            }
        }
    };
}

/// Shorthand of the table.
type At = Arc<Server>;

events! {
    // The way to a server.

    /// An answer of the name servers, for those who follow the dialogue
    /// ([`Policy::with_dialogue`](crate::policy::Policy::with_dialogue)).
    Answered {
        /// The records, or why there are none.
        answer: LogText,
        /// The name servers have validated it (DNSSEC).
        validated: bool,
    } => Trace, ("{answer}{}", if *validated { "; validated" } else { "" });
    /// Something that was noticed on the way from the next hop to addresses.
    Routed {
        /// The remark.
        text: LogText,
    } => Info, ("{text}");
    /// Something is wrong on the way from the next hop to addresses.
    RouteWarning {
        /// The warning.
        text: LogText,
    } => Warning, ("{text}");
    /// `lmtp_fallback_relay` is set, and the next hop is a socket.
    FallbackIgnored {
        /// The relays.
        relays: String,
    } => Warning, ("ignoring \"lmtp_fallback_relay = {relays}\" setting for non-TCP connections");
    /// A parameter is to blame for mail that would bounce, so that it is deferred.
    ConfigurationProblem {
        /// The parameter.
        parameter: &'static str,
    } => Warning, ("{parameter} configuration problem");
    /// The mail is handed to `best_mx_transport`.
    PassedOn {
        /// The message.
        id: QueueId,
        /// The transport.
        transport: String,
    } => Info, ("{}passing mail to transport={transport}", About(id));
    /// A connection is open.
    Connected {
        /// The server.
        server: At,
    } => Trace, ("connected to {server}");
    /// A connection could not be opened.
    ConnectFailed {
        /// The server.
        server: At,
        /// The reason.
        error: ConnectError,
    } => Info, ("{}", error.at(server));
    /// A connection is closed.
    Disconnected {
        /// The server.
        server: At,
    } => Trace, ("disconnected from {server}");
    /// A connection is kept for a later message.
    Kept {
        /// The server.
        server: At,
    } => Trace, ("{server}: keeping the connection");
    /// A connection was kept from an earlier message and is used for this one.
    Reused {
        /// The server.
        server: At,
        /// Messages that went over the connection before.
        uses: u32,
    } => Trace, ("{server}: using the connection that was kept from an earlier message");
    /// A connection that was kept has turned out to be over; the message goes another way.
    KeptConnectionOver {
        /// The server.
        server: At,
        /// The reply to RSET, or what else has told it.
        why: String,
    } => Info, ("{server}: the connection that was kept from an earlier message is over: {why}");
    /// The server ends a connection that was kept, in the middle of this message.
    KeptConnectionEnded {
        /// The server.
        server: At,
        /// Its reply.
        said: String,
    } => Info, ("{server}: the server ends the connection that was kept from an earlier message: {said}");
    /// The server has said more than it was asked on a connection that is about to be kept.
    UnaskedReplies {
        /// The server.
        server: At,
        /// The bytes that are forgotten.
        bytes: usize,
    } => Info, ("host {} said more than it was asked: {bytes} bytes are forgotten", server.name());

    // The dialogue.

    /// The server has introduced itself, and the dialogue can go on.
    Greeted {
        /// The server.
        server: At,
        /// The name that it gave in reply to EHLO, HELO or LHLO.
        name: String,
    } => Trace, ("{server} introduces itself as {name}");
    /// The client has said a line (`debug_peer_list`).
    Said {
        /// The server.
        server: At,
        /// The line; what belongs to a login is left out.
        line: String,
    } => Debug, ("> {server}: {line}");
    /// The server has said a line (`debug_peer_list`).
    Heard {
        /// The server.
        server: At,
        /// The line, as far as it is shown.
        line: String,
    } => Debug, ("< {server}: {line}");
    /// The message text has been sent, in a dialogue that is shown.
    TextSent {
        /// The server.
        server: At,
        /// The length of the text before dots are stuffed and line ends made.
        bytes: u64,
    } => Debug, ("> {server}: [message text of {bytes} bytes]");
    /// A line of a reply is longer than 2048 bytes.
    ReplyLineTooLong {
        /// The server.
        server: At,
        /// The first bytes of the line.
        start: String,
    } => Warning, ("{server}: response longer than 2048: {start}...");
    /// A reply is longer than 2048 bytes; the lines that follow are left out.
    ReplyTooLong {
        /// The server.
        server: At,
        /// The first bytes of the line where it is cut.
        start: String,
    } => Warning, ("{server}: multi-line response longer than 2048 {start}...");
    /// A line that is no reply line was read over.
    ReplyGarbage {
        /// The server.
        server: At,
        /// The line, as far as it is shown.
        line: String,
    } => Warning, ("non-ESMTP response from {server}: {line}");
    /// The reply filter has put another line in the place of the server's.
    ReplyReplaced {
        /// The server.
        server: At,
        /// The line of the server.
        old: String,
        /// The line in its place.
        new: String,
    } => Info, ("{server}: replacing server reply \"{old}\" with \"{new}\"");
    /// The server has refused something that the message can do without.
    Refused {
        /// The server.
        server: At,
        /// The command.
        stage: Stage,
        /// The reply.
        reply: Reply,
    } => Warning, ("host {server} said: {reply} (in reply to {})", stage.request());
    /// The greeting is that of a PIX firewall.
    PixWorkarounds {
        /// The message.
        id: QueueId,
        /// The server.
        server: At,
        /// The workarounds (`smtp_pix_workarounds`).
        workarounds: PixWorkarounds,
    } => Info, ("{}enabling PIX workarounds: {workarounds} for {server}", About(id));
    /// The server has greeted with the name of this client.
    GreetedWithOwnName {
        /// The server.
        server: At,
        /// The name (`myhostname`).
        name: String,
    } => Warning, ("host {server} greeted me with my own hostname {name}");
    /// The server has replied to EHLO, HELO or LHLO with the name of this client: a loop.
    OwnNameInHello {
        /// The server.
        server: At,
        /// The name (`myhostname`).
        name: String,
    } => Warning, ("host {server} replied to HELO/EHLO with my own hostname {name}");
    /// Keywords of the server count as not offered (`smtp_discard_ehlo_keywords`).
    KeywordsDiscarded {
        /// The server.
        server: At,
        /// The keywords, with a blank between.
        keywords: String,
    } => Info, ("discarding EHLO keywords: {keywords}");
    /// The size limit that the server has announced is no number.
    BadSizeLimit {
        /// The server.
        server: At,
        /// The word in its place.
        word: String,
    } => Warning, ("bad EHLO SIZE limit \"{word}\" from {server}");
    /// The server offers SMTPUTF8 without 8BITMIME, which RFC 6531 demands.
    Smtputf8Alone {
        /// The server.
        server: At,
    } => Info, ("host {} offers SMTPUTF8 support, but not 8BITMIME", server.name());
    /// A failure leaves its recipients to another server.
    Postponed {
        /// The message.
        id: QueueId,
        /// The server, if there was a connection.
        server: Option<At>,
        /// The reason, as a verdict would have it.
        text: LogText,
    } => Info, ("{}{text}", About(id));

    // TLS.

    /// Something is wrong with the TLS policy for a server, or with what it names.
    TlsPolicyWarning {
        /// The warning.
        text: LogText,
    } => Warning, ("{text}");
    /// A server is passed over, since nobody can tell its TLS policy.
    TlsPolicyUnknown {
        /// `lookup` or `lookup error`, as Postfix words it.
        what: &'static str,
        /// The destination.
        destination: Arc<str>,
        /// The server's name.
        host: Arc<str>,
        /// The reason.
        why: String,
    } => Warning, ("TLS policy {what} for {destination}/{host}: {why}");
    /// `smtp_tls_wrappermode` is set at a level that does not demand TLS.
    WrapperModeUnprotected {
        /// The client.
        protocol: Protocol,
    } => Warning, ("{protocol}_tls_wrappermode requires \"{protocol}_tls_security_level = encrypt\" (or stronger)");
    /// The level is `may`, and the destination is a socket.
    OpportunisticTlsOnSocket {} => Warning, ("opportunistic TLS encryption is not appropriate for unix-domain destinations.");
    /// The server offers STARTTLS and the level is `none` (`smtp_tls_note_starttls_offer`).
    StarttlsOffered {
        /// The server.
        server: At,
    } => Info, ("Host offered STARTTLS: [{}]", server.host);
    /// The server has sent plaintext behind its reply to STARTTLS.
    PlaintextDiscarded {
        /// The server.
        server: At,
        /// The bytes that are thrown away.
        bytes: usize,
    } => Warning, ("{server}: discarding {bytes} bytes of plaintext that follow the STARTTLS reply");
    /// A handshake could not be begun.
    TlsUnavailable {
        /// The server.
        server: At,
        /// The reason, which names the server.
        why: LogText,
    } => Warning, ("{why}");
    /// A handshake has failed.
    HandshakeFailed {
        /// The server.
        server: At,
        /// The reason.
        why: LogText,
    } => Info, ("SSL_connect error to {server}: {why}");
    /// The certificate is not what the level demands.
    CertificateProblem {
        /// The server.
        server: At,
        /// The problem.
        problem: Problem,
    } => Info, ("{}", problem.line(server));
    /// A handshake was a short one, with a session from before (`smtp_tls_loglevel = 2`).
    TlsResumed {
        /// The server.
        server: At,
    } => Info, ("{server}: Reusing old session");
    /// The certificate that a server shows, for those who follow the dialogue.
    CertificateShown {
        /// The server.
        server: At,
        /// The name of its subject as RFC 4514 writes it.
        subject: String,
        /// The name of its issuer.
        issuer: String,
        /// The end of its validity, as `2026-11-22T22:05:30Z`.
        not_after: String,
    } => Trace, ("certificate of {server}: {subject}, issued by {issuer}, valid until {not_after}");
    /// A handshake has succeeded (`smtp_tls_loglevel = 1`). The certificate may be
    /// worthless all the same.
    TlsEstablished {
        /// The server.
        server: At,
        /// The facts.
        tls: Arc<TlsSummary>,
    } => Info, ("{} TLS connection established to {server}: {tls}", tls.trust);
    /// A connection that was kept is used, with the TLS that it has.
    TlsReused {
        /// The server.
        server: At,
        /// The facts.
        tls: Arc<TlsSummary>,
    } => Info, ("{} TLS connection reused to {server}: {tls}", tls.trust);
    /// The certificate does not fulfil an MTA-STS policy in testing mode.
    StsTestFailed {
        /// The domain of the policy.
        domain: String,
        /// The server.
        server: At,
    } => Warning, ("MTA-STS policy of {domain} is in testing mode: the certificate of {server} does not fulfil it");
    /// The server has replied to MAIL before it was sent (`smtp_tls_block_early_mail_reply`).
    EarlyMailReply {
        /// The server.
        server: At,
        /// The client.
        protocol: Protocol,
    } => Warning, ("server {} violates {protocol}_tls_block_early_mail_reply policy", server.name());
    /// A contribution to a report on TLS (RFC 8460), where that is turned on.
    TlsReport {
        /// The result.
        result: TlsResult,
    } => Debug, ("TLS report: {result}");

    // The login.

    /// The server's list of mechanisms is odd.
    OddMechanisms {
        /// The server.
        server: At,
        /// The remark.
        remark: String,
    } => Warning, ("{server} {remark}");
    /// There is a password for a server that offers no AUTH.
    UselessPassword {
        /// The server.
        server: At,
        /// The place where it would have been used: empty inside TLS, ` outside of TLS` in plaintext.
        place: &'static str,
    } => Warning, ("{server}: there is a password for this server, but it offers no AUTH{place}: \
        mail goes out without a login");
    /// The tables of passwords could not be asked.
    PasswordLookupFailed {
        /// The message.
        id: QueueId,
        /// The client.
        protocol: Protocol,
    } => Warning, ("{}{protocol}_sasl_password_maps lookup error", About(id));
    /// The server has refused an access token. It is tried once more with a new one.
    TokenRefused {
        /// The server.
        server: At,
        /// Its reply.
        said: String,
    } => Info, ("{server} refused the access token, and is tried again with a new one: {said}");
    /// The server has accepted the login.
    LoggedIn {
        /// The server.
        server: At,
    } => Trace, ("{server}: logged in");
    /// The session has ended before the reply to AUTH.
    UnansweredLogin {
        /// The server.
        server: At,
    } => Info, ("{server}: it was the reply to AUTH that did not come");

    // The message.

    /// A flag of the transport cannot be heeded for several recipients.
    FlagNeedsOneRecipient {
        /// The letter.
        flag: char,
        /// The service.
        service: ServiceName,
    } => Warning, ("flag `{flag}' requires {service}_destination_recipient_limit = 1");
    /// A line of the text is longer than `smtp_line_length_limit` and is broken.
    LineBroken {
        /// The message.
        id: QueueId,
        /// The limit in bytes.
        limit: u32,
    } => Info, ("{}breaking line > {limit} bytes with <CR><LF>SPACE", About(id));
    /// A header or body check has done something.
    ContentChecked {
        /// The message.
        id: QueueId,
        /// The action and the line.
        text: LogText,
    } => Info, ("{}{text}", About(id));
    /// Something is wrong with the tables that the text or the addresses go through.
    ContentWarning {
        /// The warning.
        text: LogText,
    } => Warning, ("{text}");

    // Around the delivery.

    /// A table could not be asked.
    TableFailed {
        /// The failure.
        failure: TableFailure,
    } => Warning, ("{failure}");
    /// The delivery status filter could not be asked, or has said something else.
    StatusFilterWarning {
        /// The warning.
        text: LogText,
    } => Warning, ("{text}");
    /// The name servers do not validate (`dnssec_probe`).
    DnssecUnavailable {
        /// The warning.
        text: LogText,
    } => Warning, ("{text}");
    /// A notice for the postmaster, of which mail may be made (`notify_classes`).
    PostmasterNotice {
        /// The notice.
        notice: Box<Notice>,
    } => Debug, ("errors from {}: the postmaster is to be notified", notice.relay);
    /// A piece of a survey.
    Found {
        /// The piece.
        finding: Finding,
    } => Debug, ("survey of {finding}");
}
