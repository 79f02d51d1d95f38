//! Mail never goes out in plaintext where that is forbidden, wherever the server
//! breaks off.

use std::time::Duration;

use crate::{
    certificates::{Authority, self_signed},
    server::Offer,
    world::World,
};

#[test]
fn no_mail_goes_out_in_plaintext_where_tls_is_demanded() {
    let server = Authority::new("ca").issue(&["mx1.example.net"]);
    let offers = [
        Offer::Nothing,
        Offer::StartTls(server.server()),
        Offer::Refuse("454 later"),
        Offer::Refuse("502 never"),
        Offer::Refuse("354 what"),
        Offer::Garbage,
        Offer::Stall,
        Offer::Close,
        Offer::Inject(self_signed(&["x.example"]).server()),
        Offer::CloseAtMail(self_signed(&["x.example"]).server()),
    ];
    let levels = ["encrypt", "dane-only", "verify", "secure"];
    for offer in &offers {
        for level in levels {
            // The whole dialogue is shorter than the last budget.
            for budget in (0..3000).step_by(53).chain([usize::MAX]) {
                let mut world = World::new(offer.clone());
                world.budget = budget;
                world.age = Duration::from_secs(10_000);
                let outcome = world.deliver(&format!("smtp_tls_security_level = {level}\n"));
                assert!(!world.mail().0, "{level}, {budget}: {}", outcome.text);
                let text = |line: &String| line.contains("secret");
                assert!(
                    !world
                        .past
                        .iter()
                        .any(|server| server.plain.iter().any(text))
                );
            }
        }
    }
}
