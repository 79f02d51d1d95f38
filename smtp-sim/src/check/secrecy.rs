//! What went out in the clear, and to whom.

use smtp_policy::dns::Failure;

use super::{Bench, Check};
use crate::{
    peer::Identity,
    population::{Destination, Logins, Place, Security, Server},
    world::Connection,
};

impl Bench<'_> {
    pub(super) fn secrecy(&mut self) {
        let world = self.world;
        for connection in world.connections() {
            self.plaintext(&connection);
            self.credentials(&connection);
        }
    }

    fn plaintext(&mut self, connection: &Connection<'_>) {
        let profile = self.population.profile;
        let mut destinations = self.population.destinations.iter();
        let found = destinations.find_map(|destination| {
            let mut servers = destination.servers.iter();
            let server = servers.find(|server| server.address == connection.host)?;
            Some((destination, server))
        });
        let Some((destination, server)) = found else {
            return;
        };
        let (demanded, proof) = match profile.security {
            Security::None | Security::May => (false, false),
            Security::Encrypt => (true, false),
            Security::Secure => (true, true),
            Security::Dane => {
                let bound = is_bound(destination, server);
                (bound, bound)
            }
        };
        let host = connection.host;
        if demanded && let Some(sender) = connection.ledger.plain_senders.first() {
            let what = format!("MAIL FROM:<{sender}> at {host}");
            self.find(Check::NoPlaintext, what);
        }
        let proven = server.host.temper.tls == Some(Identity::Proven);
        if proof
            && !proven
            && let Some(name) = connection.ledger.named.first()
        {
            self.find(Check::ProvenServer, format!("RCPT TO:<{name}> at {host}"));
        }
    }

    fn credentials(&mut self, connection: &Connection<'_>) {
        let logins = self.population.profile.logins;
        for login in &connection.ledger.logins {
            let shows = matches!(login.mechanism.as_str(), "PLAIN" | "LOGIN");
            let allowed = match logins {
                Logins::Off => false,
                Logins::Careful => login.secure || !shows,
                Logins::Any => true,
            };
            if !allowed {
                let place = if login.secure {
                    "inside TLS"
                } else {
                    "in the clear"
                };
                let what = format!("AUTH {} {place} at {}", login.mechanism, connection.host);
                self.find(Check::Credentials, what);
            }
        }
    }
}

/// Whether TLSA records bind a server: they are signed, the names that lead to them
/// are too, and no name server has said that there are none. Where nobody can say
/// whether there are, the server is no more to be trusted than if there were.
fn is_bound(destination: &Destination, server: &Server) -> bool {
    let direct = destination.nexthop.contains("[192.");
    let first = destination.servers.first().map(|first| first.address);
    let denied = matches!(
        &destination.trouble,
        Some((Place::Certificate, trouble))
            if matches!(trouble.failure, Failure::NotFound | Failure::NoData)
    );
    destination.signed && !direct && !(denied && first == Some(server.address))
}
