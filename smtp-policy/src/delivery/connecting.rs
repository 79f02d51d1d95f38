//! The phase in which a connection is opened (`src/smtp/smtp_connect.c`,
//! smtp_connect_addr, smtp_connect_unix).

use smtp_proto::status::EnhancedStatus;

use super::{
    Ask, ConnectError, Endpoint,
    attempt::Attempt,
    choosing::Choosing,
    context::Context,
    phase::{Next, Phase},
    survey::Learned,
    talking::Talking,
};
use crate::{
    event::Event,
    report::{Scope, trouble::Reason},
    server::Server,
};

/// A connection that is being opened.
#[derive(Debug)]
pub(super) struct Connecting {
    attempt: Box<Attempt>,
    serial: u32,
    answer: Option<Result<(), ConnectError>>,
}

impl Connecting {
    /// Asks for a connection.
    pub(super) fn begin(cx: &mut Context, attempt: Box<Attempt>) -> Next {
        let ticket = cx.ticket();
        let serial = ticket.serial();
        let target = attempt.target(cx);
        // The empty path is the empty name among Linux's abstract sockets: nobody
        // listens there.
        let nowhere =
            matches!(&target.endpoint, Endpoint::Unix(path) if path.as_os_str().is_empty());
        let phase = Phase::Connecting(Self {
            attempt,
            serial,
            answer: nowhere.then_some(Err(ConnectError::Refused)),
        });
        match nowhere {
            true => Next::Go(phase),
            false => Next::Ask(phase, Ask::Connect(ticket, target)),
        }
    }

    /// Returns whether this is the ticket of the question that is out.
    pub(super) const fn asked(&self, serial: u32) -> bool {
        self.serial == serial
    }

    /// The answer.
    pub(super) fn connected(&mut self, result: Result<(), ConnectError>) {
        self.answer = Some(result);
    }

    /// Begins the dialogue, if there is a connection.
    pub(super) fn poll(self, cx: &mut Context) -> Next {
        let Some(result) = self.answer else {
            return Next::Await(Phase::Connecting(self));
        };
        if let Err(error) = result {
            let server = self.attempt.peer.server();
            let reason = connect_failure(&server, &error);
            cx.note(Event::ConnectFailed { server, error });
            cx.learn(&Learned::Failed(&reason));
            cx.why = Some(reason);
            return Next::Go(Phase::Choosing(Choosing));
        }
        cx.note(Event::Connected {
            server: self.attempt.peer.server(),
        });
        cx.hosts.mark_final_server();
        Next::Go(Talking::begin(cx, self.attempt).into())
    }
}

fn connect_failure(server: &Server, error: &ConnectError) -> Reason {
    let status = match error {
        ConnectError::PathTooLong => EnhancedStatus::new(4, 3, 5),
        ConnectError::Bind(_) => EnhancedStatus::new(4, 4, 0),
        _ => EnhancedStatus::new(4, 4, 1),
    };
    Reason::local(status, Scope::Site, error.at(server))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::delivery::testing::{asked, attempt, context, go};

    fn connecting(cx: &mut Context) -> Connecting {
        let attempt = attempt(cx);
        match Connecting::begin(cx, attempt) {
            Next::Ask(Phase::Connecting(phase), Ask::Connect(..)) => phase,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_reason_is_kept_why_there_is_no_connection() {
        let rows = [
            (
                ConnectError::Refused,
                "4.4.1",
                "connect to mx.example[192.0.2.1]:25: Connection refused",
            ),
            (
                ConnectError::TimedOut,
                "4.4.1",
                "connect to mx.example[192.0.2.1]:25: Connection timed out",
            ),
            (
                ConnectError::Bind("busy".into()),
                "4.4.0",
                "server configuration error",
            ),
        ];
        for (error, status, text) in rows {
            let mut cx = context(1);
            let mut phase = connecting(&mut cx);
            assert!(phase.asked(1) && !phase.asked(2));
            phase.connected(Err(error));
            assert!(matches!(go(phase.poll(&mut cx)), Phase::Choosing(_)));
            let why = cx.why.as_ref().unwrap();
            assert_eq!(
                (why.status.to_string().as_str(), why.text.as_str()),
                (status, text)
            );
            assert_eq!(asked(&mut cx), [format!("Info: {text}")]);
            // The recipient stays for another server.
            assert!(!cx.roll.all_settled());
        }
    }

    #[test]
    fn with_a_connection_the_dialogue_begins() {
        let mut cx = context(1);
        cx.hosts.final_nexthop = true;
        let mut phase = connecting(&mut cx);
        phase.connected(Ok(()));
        assert!(matches!(go(phase.poll(&mut cx)), Phase::Talking(_)));
        assert!(cx.hosts.final_server);
    }
}
