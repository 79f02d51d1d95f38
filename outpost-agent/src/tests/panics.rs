//! A fault of the program in one request.

use std::sync::Arc;

use smtp_policy::{
    policy::Policy,
    settings::Settings,
    tables::{Table, TableFailure},
};

use super::{
    server::{Script, Server},
    world::World,
};
use crate::agent::Agent;

/// Looks at each line of a reply, and does not like one.
#[derive(Debug)]
struct Trap;

impl Table for Trap {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        assert!(!key.contains("trap"), "a fault of the program");
        Ok(None)
    }
}

fn set_trap(agent: &mut Agent) {
    let mut settings = Settings::smtp().host("mx.test".parse().unwrap());
    settings.verdict.reply_filter = Some(Arc::new(Trap));
    let settings = settings.build_like_postfix().unwrap();
    agent.policy = Arc::new(Policy::new(settings));
}

pub(super) fn world() -> World {
    World::with("", &[], &[], set_trap)
}

#[test]
fn a_panic_ends_a_request_and_no_other() {
    const AT_RCPT: Script = &[("RCPT TO:<b", "250 trap")];
    const AFTER_BOUNCE: Script = &[("RCPT TO:<a", "550 5.1.1 no"), ("DOT", "250 trap")];
    let (world, good) = (world(), Server::start(&[]));
    for (script, marks, verdicts) in [(AT_RCPT, "RR", 0), (AFTER_BOUNCE, "DR", 1)] {
        let bad = Server::start(script);
        let before = world.verdicts().len();
        let mail = world.mail(&bad.nexthop(), &["a@test", "b@test"]);
        let served = world.serve(&mail);
        assert_eq!((served.status(), served.bytes), (-1, 86));
        assert_eq!(mail.marks(), marks);
        assert_eq!(world.verdicts().len() - before, verdicts);
        let text = format!("{}: the delivery has come to an unexpected end", mail.id);
        assert_eq!(world.told("log panic: ").last(), Some(&text));
        let mail = world.mail(&good.nexthop(), &["a@test", "b@test"]);
        assert_eq!(
            (world.serve(&mail).status(), mail.marks().as_str()),
            (0, "DD")
        );
    }
}
