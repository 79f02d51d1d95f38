//! The questions of a delivery beside its connection: name servers, the system, tables, the web.

use std::{
    future::pending,
    sync::{Arc, mpsc},
    thread::{self, ThreadId},
};

use smtp_policy::{
    Protocol::Smtp,
    report::Status,
    tables::{AsyncTable, LookupFuture, Table, TableFailure},
};

use crate::{
    Client, client, deliver, serve,
    toy::{self, Toy, policy, request},
    web,
};

pub fn an_answer_of_the_name_server_that_does_not_fit_is_fetched_over_tcp<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let port = toy.nexthop.rsplit(':').next().unwrap();
    let policy = policy("inet_protocols = ipv4", vec![toy::truncating_dns()]);
    let nexthop = format!("[mx.example.com]:{port}");
    let report = deliver(&C::new(policy), request(Smtp, &nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn the_operating_system_finds_hosts_for_native_lookups<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let port = toy.nexthop.rsplit(':').next().unwrap();
    let client = client::<C>("smtp_host_lookup = native\ninet_protocols = ipv4");
    let report = deliver(&client, request(Smtp, &format!("[localhost]:{port}"), 1));
    assert!(report.all(Status::Sent), "{report:?}");
    let report = deliver(
        &client,
        request(Smtp, &format!("[no.such.host.invalid]:{port}"), 1),
    );
    let text = &report.recipients[0].1.text;
    assert!(text.contains("no.such.host.invalid: "), "{text}");
    assert!(!text.contains("failed to lookup"), "{text}");
}

pub fn a_table_that_panics_defers_the_mail<C: Client>() {
    let client = client::<C>("smtp_tls_policy_maps = external:broken");
    client.add_table("broken", Arc::new(Broken));
    let report = deliver(&client, request(Smtp, &Toy::nobody(), 1));
    assert!(report.all(Status::Deferred), "{report:?}");
    let text = &report.recipients[0].1.text;
    assert_eq!(text, "client TLS configuration problem");
}

/// A table that panics.
#[derive(Debug)]
struct Broken;

impl Table for Broken {
    fn lookup(&self, _: &str) -> Result<Option<String>, TableFailure> {
        panic!("the table is broken")
    }
}

pub fn a_table_that_is_awaited_is_asked_on_the_thread_of_its_delivery<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let client = client::<C>("smtp_tls_policy_maps = external:slow");
    let (asks, asked) = mpsc::channel();
    client.add_async_table("slow", Arc::new(Slow(asks)));
    let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
    let threads: Vec<_> = asked.try_iter().collect();
    assert!(!threads.is_empty());
    let here = thread::current().id();
    assert!(threads.iter().all(|thread| *thread == here), "{threads:?}");
}

/// A table that knows nothing, and has another thread tell it. It tells the thread that asks.
#[derive(Debug)]
struct Slow(mpsc::Sender<ThreadId>);

impl AsyncTable for Slow {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        Box::pin(async {
            let _ = self.0.send(thread::current().id());
            blocking::unblock(|| Ok(None)).await
        })
    }
}

pub fn a_table_that_is_awaited_and_panics_defers_the_mail<C: Client>() {
    let client = client::<C>("smtp_tls_policy_maps = external:broken");
    client.add_async_table("broken", Arc::new(Broken));
    let report = deliver(&client, request(Smtp, &Toy::nobody(), 1));
    let text = &report.recipients[0].1.text;
    assert_eq!(text, "client TLS configuration problem");
}

impl AsyncTable for Broken {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        panic!("the table is broken")
    }
}

pub fn cancelling_does_not_wait_for_a_table_that_is_awaited<C: Client>() {
    let client = client::<C>("smtp_tls_policy_maps = external:hanging");
    let (asks, asked) = mpsc::channel();
    client.add_async_table("hanging", Arc::new(Hanging(asks)));
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            asked.recv().unwrap();
            client.cancel();
        });
        deliver(&client, request(Smtp, &Toy::nobody(), 1))
    });
    let text = &report.recipients[0].1.text;
    assert_eq!(text, "delivery was cancelled");
}

/// A table that never answers.
#[derive(Debug)]
struct Hanging(mpsc::Sender<()>);

impl AsyncTable for Hanging {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        let _ = self.0.send(());
        Box::pin(pending())
    }
}

pub fn a_policy_of_mta_sts_is_fetched_over_https<C: Client>() {
    let report = deliver(&C::new(web::policy(true)), request(Smtp, "example.com", 1));
    let text = &report.recipients[0].1.text;
    assert_eq!(text, web::UNNAMED);
    let report = deliver(&C::new(web::policy(false)), request(Smtp, "example.com", 1));
    let text = &report.recipients[0].1.text;
    assert!(!text.contains("MTA-STS"), "{text}");
    assert!(report.all(Status::Deferred), "{report:?}");
}
