//! Populations in simulated worlds: that they pass, that they repeat, and that the
//! checks see what they are for.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    dns::{Failure, QueryKind, RecordData, ResolverConfig},
    report::{Outcome, Status},
    request::{CacheHints, Recipient, Request},
};
use smtp_proto::{Address, ReversePath, Time};
use smtp_sim::{
    check::fates,
    peer::{Act, Fault, Moment, Temper},
    population::{Knobs, Policies, Population},
    trial,
    world::{Cut, Host, NameServer, NameServers, Pace, Shape, Trouble, World},
};

const SERVER: &str = "192.0.2.1:25";

#[test]
fn a_hundred_populations_pass_all_checks() {
    let mut policies = Policies::default();
    for seed in 200..300 {
        let trial = trial::run(seed, Knobs::default(), &mut policies);
        assert_eq!(trial.findings, [], "seed {seed}");
    }
}

#[test]
fn a_seed_repeats_itself_and_another_seed_does_not() {
    let mut policies = Policies::default();
    let mut digest = |seed| {
        let population = Population::generate(seed, Knobs::default());
        let mut world = population.world(&mut policies, false).unwrap();
        world.run_out();
        world.trace().digest()
    };
    assert_eq!(digest(5), digest(5));
    let different: BTreeSet<u64> = (0..20).map(digest).collect();
    assert_eq!(different.len(), 20);
}

/// A world with one server, whose deliveries have at most `main_cf` in common.
fn world(main_cf: &str, host: Host) -> World {
    let main_cf = MainCf::parse(main_cf, "main.cf", "/nowhere".as_ref()).unwrap();
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
    let mut world = World::new(Arc::new(policy), 3);
    world.host(SERVER.parse().unwrap(), host);
    world
}

fn request(number: usize, recipients: usize) -> Request {
    let to = (0..recipients)
        .map(|each| Address::parse(&format!("r{each}.m{number}@example.com")).unwrap())
        .map(Recipient::new)
        .collect();
    let sender = ReversePath::parse(&format!("s.m{number}@example.org")).unwrap();
    let mut request = Request::new(Protocol::Smtp, "[192.0.2.1]".parse().unwrap(), sender, to);
    request.cache = CacheHints {
        load: true,
        store: true,
    };
    request
}

fn outcomes(world: &World, id: usize) -> Vec<Outcome> {
    let report = world.delivery(id).unwrap().report.clone().unwrap();
    report.recipients.into_iter().map(|(_, o)| o).collect()
}

fn with_fault(moment: Moment, act: Act) -> Host {
    Host::new(Temper {
        faults: vec![Fault {
            moment,
            nth: 0,
            connections: 1,
            act,
        }],
        ..Temper::default()
    })
}

#[test]
fn a_crash_between_the_end_of_data_and_its_reply_leaves_a_doubt() {
    let mut world = world("", with_fault(Moment::End, Act::Crash));
    let id = world.submit(Duration::ZERO, request(0, 2), "Subject: x\n\ny\n".into());
    world.run_out();
    for outcome in outcomes(&world, id) {
        assert!(outcome.uncertain && outcome.status == Status::Deferred);
    }
    let fate = fates(&world)["r0.m0@example.com"];
    assert_eq!((fate.known, fate.unknown), (0, 1));
}

#[test]
fn deliveries_share_kept_connections_and_wait_for_their_turn() {
    let host = Host::new(Temper::default());
    let mut world = world("smtp_destination_concurrency_limit = 2\n", host);
    for number in 0..6 {
        world.submit(
            Duration::ZERO,
            request(number, 1),
            "Subject: x\n\ny\n".into(),
        );
    }
    world.run_out();
    let connections: Vec<usize> = world.connections().map(|c| c.deliveries.len()).collect();
    assert_eq!(connections, [3, 3]);
    assert!((0..6).all(|id| outcomes(&world, id)[0].status == Status::Sent));
}

#[test]
fn a_black_hole_ends_with_the_time_limit_of_its_stage() {
    let cut = Cut {
        up: false,
        after: 0,
        reset: false,
    };
    let mut host = Host::new(Temper::default());
    host.shape.cut = Some(cut);
    host.faulty = 1;
    let mut world = world("smtp_helo_timeout = 7s\n", host);
    let id = world.submit(Duration::ZERO, request(0, 1), "x\n".into());
    world.run_out();
    let ended = world.delivery(id).unwrap().ended().unwrap();
    assert_eq!(ended.since(Time::ZERO).as_secs(), 7);
    let waits = world.connections().next().unwrap().waits.clone();
    let (moment, wait) = waits.last.unwrap();
    assert_eq!((moment, wait.quiet.as_secs()), (Moment::Banner, 7));
    assert!(outcomes(&world, id)[0].text.contains("timed out"));
}

#[test]
fn the_verdict_on_a_message_is_the_same_in_single_bytes_and_through_a_slow_reader() {
    let shapes = [
        Shape::default(),
        Shape {
            piece: 1,
            ..Shape::default()
        },
        Shape {
            slow: Some((7, Duration::from_millis(3))),
            window: 50,
            ..Shape::default()
        },
    ];
    for shape in shapes {
        let mut host = Host::new(Temper {
            recipients: vec![250, 550],
            ..Temper::default()
        });
        (host.shape, host.faulty) = (shape, 1);
        let mut world = world("", host);
        let id = world.submit(Duration::ZERO, request(0, 4), "a\n.\n..\nb".into());
        world.run_out();
        let words: Vec<&str> = outcomes(&world, id).iter().map(|o| o.word).collect();
        assert_eq!(words, ["sent", "bounced", "sent", "bounced"], "{shape:?}");
        let taken = world.connections().next().unwrap().ledger.taken.clone();
        assert_eq!(taken[0].text, b"a\n.\n..\nb\n");
    }
}

#[test]
fn a_name_that_fails_defers_only_as_long_as_it_fails() {
    let mut world = world("", Host::new(Temper::default()));
    let address = RecordData::A("192.0.2.1".parse().unwrap());
    world.names().add("example.com", address);
    world.names().fail(
        "example.com",
        Trouble {
            kind: Some(QueryKind::A),
            failure: Failure::TryAgain,
            times: 1,
            after: Duration::from_secs(10),
        },
    );
    let to_domain = |number| {
        let mut request = request(number, 1);
        request.nexthop = "example.com".parse().unwrap();
        request
    };
    let first = world.submit(Duration::ZERO, to_domain(0), "x\n".into());
    let second = world.submit(Duration::from_secs(60), to_domain(1), "x\n".into());
    world.run_out();
    assert_eq!(outcomes(&world, first)[0].status, Status::Deferred);
    let ended = world.delivery(first).unwrap().ended().unwrap();
    assert_eq!(ended.since(Time::ZERO).as_secs(), 10);
    assert_eq!(outcomes(&world, second)[0].status, Status::Sent);
}

/// A world at level `dane` whose only domain is not signed, whose root is or is not, and
/// whose name servers are asked.
fn unsigned_domain(root_is_signed: bool, servers: NameServers) -> World {
    let main_cf = "smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\n";
    let main_cf = MainCf::parse(main_cf, "main.cf", "/nowhere".as_ref()).unwrap();
    let resolver = ResolverConfig {
        servers: (1..4)
            .map(|number| ([192, 0, 2, 250 + number], 53).into())
            .collect(),
        ..ResolverConfig::default()
    };
    let policy = compile(&main_cf, resolver, &[]).unwrap();
    let mut world = World::new(Arc::new(policy), 3).traced();
    world.resolve_with(servers);
    world.host(SERVER.parse().unwrap(), Host::new(Temper::default()));
    let address = RecordData::A("192.0.2.1".parse().unwrap());
    world.names().add("example.com", address);
    world
        .names()
        .add(".", RecordData::Ns("a.root.example".to_owned()));
    if root_is_signed {
        world.names().sign(".");
    }
    for number in 0..2 {
        let mut to_domain = request(number, 1);
        to_domain.nexthop = "example.com".parse().unwrap();
        world.submit(Duration::from_secs(60), to_domain, "x\n".into());
    }
    world.run_out();
    assert_eq!(world.misheard(), [] as [&str; 0]);
    assert!((0..2).all(|id| outcomes(&world, id)[0].status == Status::Sent));
    world
}

#[test]
fn the_answer_to_the_dnssec_probe_is_taken_at_once() {
    for (root_is_signed, alarms) in [(true, 0), (false, 1)] {
        let world = unsigned_domain(root_is_signed, NameServers::good(3));
        assert_eq!(world.trace().text().matches("asks for NS .").count(), 1);
        let warnings = world.deliveries().iter().flat_map(|d| &d.warnings);
        let alarm = "DNSSEC validation may be unavailable";
        assert_eq!(warnings.filter(|text| *text == alarm).count(), alarms);
        for delivery in world.deliveries() {
            let took = delivery.ended().unwrap().since(delivery.begun().unwrap());
            assert!(took < Duration::from_secs(5), "{took:?}");
        }
    }
}

#[test]
fn names_are_found_as_long_as_one_server_answers() {
    use NameServer::{Failing, Gone, Good, Refusing, Silent, Truncating, WithoutEdns};
    for bad in [Silent, Gone, Failing, Refusing] {
        for good in [Good, Truncating, WithoutEdns] {
            for servers in [[bad, bad, good], [bad, good, bad], [good, bad, bad]] {
                let servers = NameServers {
                    servers: servers.into(),
                    mishaps: 1,
                    forgeries: 1,
                };
                unsigned_domain(true, servers);
            }
        }
    }
}

#[test]
fn where_no_name_server_answers_mail_waits() {
    use NameServer::{Failing, Gone, Silent};
    for (servers, seconds) in [
        (vec![], 30),
        (vec![Silent, Failing, Gone], 10),
        (vec![Gone; 3], 1),
    ] {
        let mut world = world("", Host::new(Temper::default()));
        world.resolve_with(NameServers {
            servers,
            ..NameServers::default()
        });
        let mut to_domain = request(0, 1);
        to_domain.nexthop = "example.com".parse().unwrap();
        let id = world.submit(Duration::ZERO, to_domain, "x\n".into());
        world.run_out();
        assert_eq!(outcomes(&world, id)[0].status, Status::Deferred);
        let ended = world.delivery(id).unwrap().ended().unwrap();
        assert!(ended.since(Time::ZERO).as_secs() <= seconds, "{ended:?}");
    }
}

#[test]
fn every_sixth_population_asks_name_servers_and_some_ask_whether_they_validate() {
    let populations = (0..600).map(|seed| Population::generate(seed, Knobs::default()));
    let asking: Vec<Population> = populations.filter(|p| p.name_servers.is_some()).collect();
    assert!((60..140).contains(&asking.len()), "{}", asking.len());
    let mut policies = Policies::default();
    let probes = |population: &&Population| {
        let mut world = population.world(&mut policies, true).unwrap();
        world.run_out();
        world.trace().text().contains("asks for NS .")
    };
    let count = asking.iter().filter(probes).count();
    assert!(count > 2, "{count}");
}

#[test]
fn more_recipients_than_the_limit_take_several_turns() {
    let main_cf = "smtp_destination_recipient_limit = 2\n";
    let mut world = world(main_cf, Host::new(Temper::default()));
    let id = world.submit(Duration::ZERO, request(0, 5), "x\n".into());
    world.run_out();
    let delivery = world.delivery(id).unwrap();
    assert_eq!((delivery.turns.len(), &delivery.reported), (3, &vec![1; 5]));
    let report = delivery.report.as_ref().unwrap();
    let addresses = report.recipients.iter().map(|(to, _)| to.address.as_str());
    let expected: Vec<String> = (0..5)
        .map(|each| format!("r{each}.m0@example.com"))
        .collect();
    assert!(addresses.eq(expected.iter().map(String::as_str)));
    let ledgers = world.connections().map(|connection| connection.ledger);
    let transactions: Vec<usize> = ledgers.flat_map(|l| l.transactions.clone()).collect();
    assert_eq!(transactions, [2, 2, 1]);
}

#[cfg(feature = "certificates")]
#[test]
fn populations_pass_with_real_handshakes() {
    let mut policies = Policies::with_real_tls().unwrap();
    let mut secure = 0;
    for seed in 0..40 {
        let trial = trial::run(seed, Knobs::default(), &mut policies);
        assert_eq!(trial.findings, [], "seed {seed}");
        let conversation = trial::trace(seed, Knobs::default(), &mut policies);
        secure += usize::from(conversation.contains("*< 250 message"));
    }
    assert!(secure > 5, "{secure} conversations inside TLS");
}

/// The report on a message whose source takes so long for each line, and when it was.
fn paced(pause: Duration) -> (Outcome, Time) {
    let mut world = world(
        "smtp_data_xfer_timeout = 180s",
        Host::new(Temper::default()),
    );
    let to = Recipient::new(Address::parse("user@example.com").unwrap());
    let nexthop = "[192.0.2.1]".parse().unwrap();
    let request = Request::new(Protocol::Smtp, nexthop, ReversePath::Null, vec![to]);
    let text = "Subject: hi\n\nhello\n";
    let id = world.submit(Duration::ZERO, request, text.into());
    world.pace(id, Pace { piece: 12, pause });
    assert_eq!(world.next_finished(), Some(id));
    let delivered = world.delivery(id).unwrap();
    let ended = delivered.ended().unwrap();
    let report = delivered.report.as_ref().unwrap();
    (report.recipients[0].1.clone(), ended)
}

#[test]
fn a_text_comes_at_the_pace_of_its_source() {
    let (outcome, ended) = paced(Duration::from_secs(100));
    assert_eq!(outcome.word, "sent", "{outcome:?}");
    // Two pieces and the end.
    assert!(ended >= Time::at(Duration::from_secs(300)), "{ended:?}");
    let (outcome, ended) = paced(Duration::from_secs(200));
    let why = "cannot read the message text: its source gave none for 180 s";
    assert_eq!((outcome.word, outcome.text.as_str()), ("deferred", why));
    assert!(ended < Time::at(Duration::from_secs(200)), "{ended:?}");
}
