//! The tests that every runtime has to pass, written once: a client against a toy server on
//! real sockets, and the recordings. A runtime says what its client is and takes the suite
//! in; what only that runtime does is tested beside it.
//!
//! ```ignore
//! runtime_tests::waiting_client!(Smol, runtime_smol::Client, smol::block_on);
//! runtime_tests::suite!(Smol);
//! ```
//!
//! These tests show that sockets, timers and threads do their part. Rules of mail are
//! tested below the runtimes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, whose names say what they are"
)]

pub mod client;
pub mod conformance;
pub mod lookups;
pub mod sources;
pub mod toy;
pub mod web;

use std::{fmt::Debug, pin::pin};

use futures_util::future::{Either, select};
pub use smtp_sim::conformance::Failures;

use crate::{
    prelude::{Arc, AsyncTable, Bytes, Observer, Policy, Report, Request, Table, TextSource},
    toy::{Peer, policy},
};

/// The names that [`waiting_client`] and implementations of [`Client`] need.
pub mod prelude {
    pub use std::sync::Arc;

    pub use bytes::Bytes;
    pub use futures_util::{
        StreamExt,
        future::{join_all, ready},
        stream,
    };
    pub use smtp_policy::{
        delivery::Observer,
        driver::Submission,
        policy::Policy,
        report::Report,
        request::Request,
        tables::{AsyncTable, Table},
        text::TextSource,
    };

    pub use crate::{Client, Droppable, first};
}

/// The message that most tests deliver.
const TEXT: &[u8] = b"Subject: hello\n\n.world\n";

/// A client of a runtime, whose calls return at their end.
pub trait Client: Clone + Send + Sync + 'static {
    fn new(policy: Arc<Policy>) -> Self;
    fn add_table(&self, name: &str, table: Arc<dyn Table>);
    fn add_async_table(&self, name: &str, table: Arc<dyn AsyncTable>);
    fn deliver(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report;
    fn deliver_whole(&self, request: Request, text: Bytes) -> Report;
    fn deliver_at_once(&self, requests: Vec<Request>, text: Bytes) -> Vec<Report>;
    fn deliver_all(
        &self,
        requests: impl Iterator<Item = Request> + Send,
        text: Bytes,
        limit: usize,
        report: impl FnMut(usize, Report),
    );
    fn cancel(&self);
    fn close(&self);
    fn hang_up(&self);
}

/// A client whose deliveries are futures, which can be dropped.
pub trait Droppable: Client {
    /// Drops a delivery when `event` returns, which waits on a thread of its own.
    fn drop_delivery_after<T: Send + 'static>(
        &self,
        request: Request,
        text: Bytes,
        event: impl FnOnce() -> T + Send + 'static,
    ) -> T;

    /// The same with a stream of one delivery.
    fn drop_stream_after<T: Send + 'static>(
        &self,
        request: Request,
        text: Bytes,
        event: impl FnOnce() -> T + Send + 'static,
    ) -> T;
}

/// Makes a [`Client`] named `$name` of an asynchronous one; `$block_on` runs a future to its end.
#[macro_export]
macro_rules! waiting_client {
    ($name:ident, $client:ty, $block_on:path) => {
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $client);

        const _: () = {
            use $crate::prelude::*;

            impl Client for $name {
                fn new(policy: Arc<Policy>) -> Self {
                    Self(<$client>::new(policy))
                }

                fn add_table(&self, name: &str, table: Arc<dyn Table>) {
                    self.0.add_table(name, table);
                }

                fn add_async_table(&self, name: &str, table: Arc<dyn AsyncTable>) {
                    self.0.add_async_table(name, table);
                }

                fn deliver(
                    &self,
                    request: Request,
                    text: impl TextSource + 'static,
                    observer: impl Observer + 'static,
                ) -> Report {
                    $block_on(self.0.deliver(request, text, observer))
                }

                fn deliver_whole(&self, request: Request, text: Bytes) -> Report {
                    $block_on(self.0.deliver_whole(request, text, ()))
                }

                fn deliver_at_once(&self, requests: Vec<Request>, text: Bytes) -> Vec<Report> {
                    let deliver = |request| self.0.deliver(request, text.clone(), ());
                    $block_on(join_all(requests.into_iter().map(deliver)))
                }

                fn deliver_all(
                    &self,
                    requests: impl Iterator<Item = Request> + Send,
                    text: Bytes,
                    limit: usize,
                    mut report: impl FnMut(usize, Report),
                ) {
                    let submission = |request| Submission::new(request, text.clone());
                    let submissions = stream::iter(requests.map(submission));
                    let reports = self.0.deliver_all(submissions, limit);
                    $block_on(reports.for_each(|(number, done)| {
                        report(number, done);
                        ready(())
                    }));
                }

                fn cancel(&self) {
                    self.0.cancel();
                }

                fn close(&self) {
                    $block_on(self.0.close());
                }

                fn hang_up(&self) {
                    self.0.hang_up();
                }
            }

            impl Droppable for $name {
                fn drop_delivery_after<T: Send + 'static>(
                    &self,
                    request: Request,
                    text: Bytes,
                    event: impl FnOnce() -> T + Send + 'static,
                ) -> T {
                    $block_on(first(self.0.deliver(request, text, ()), event))
                }

                fn drop_stream_after<T: Send + 'static>(
                    &self,
                    request: Request,
                    text: Bytes,
                    event: impl FnOnce() -> T + Send + 'static,
                ) -> T {
                    let one = stream::iter([Submission::new(request, text)]);
                    let reports = self.0.deliver_all(one, 1).collect::<Vec<_>>();
                    $block_on(first(reports, event))
                }
            }
        };
    };
}

/// Returns what `event` does, for which a future is dropped that must not end before.
#[doc(hidden)]
pub async fn first<T: Send + 'static>(
    dropped: impl Future<Output: Debug>,
    event: impl FnOnce() -> T + Send + 'static,
) -> T {
    match select(pin!(dropped), blocking::unblock(event)).await {
        Either::Left((ended, _)) => panic!("the delivery ended: {ended:?}"),
        Either::Right((seen, _)) => seen,
    }
}

/// Makes tests of a [`Client`]: without a word those that every client has to pass, with
/// `dropping` those of a [`Droppable`] one, with `mta_sts` those of a runtime with that feature,
/// with `recordings` the recordings, which take a while.
#[macro_export]
macro_rules! suite {
    ($client:ty) => {
        $crate::tests! { $client, client: [
            a_message_arrives_and_every_recipient_has_its_verdict,
            an_ipv6_address_is_connected_to,
            a_unix_domain_socket_is_connected_to,
            errors_of_connect_are_worded_as_the_c_library_words_them,
            several_deliveries_run_at_once,
            deliveries_are_taken_and_reported_as_others_end,
            a_destination_has_no_more_deliveries_at_a_time_than_its_limit,
            more_recipients_than_the_limit_get_the_message_in_several_deliveries,
            cancelling_ends_a_delivery_to_a_silent_server,
            a_server_that_talks_while_it_is_written_to_is_no_deadlock,
            a_large_message_arrives_whole,
            a_text_goes_on_when_the_server_takes_it_again,
            a_server_that_refuses_and_closes_during_the_text_is_heard,
            the_end_of_a_connection_right_behind_a_reply_is_heard,
            a_kept_connection_serves_the_next_message_and_hears_quit_in_the_end,
            a_kept_connection_is_closed_without_a_word_when_its_time_is_over,
            what_came_while_a_connection_was_kept_is_no_reply_to_the_next_message,
            a_bind_address_that_is_not_ours_is_left_out_or_enforced,
            an_observer_hears_of_the_doubt_before_the_end_of_the_text_is_sent,
            an_observer_sees_every_recipient_settled_once,
        ], sources: [
            a_text_is_sent_as_its_source_has_it,
            a_server_that_hangs_up_while_the_source_is_waited_for_is_heard,
            a_source_that_gives_nothing_defers_the_mail_in_the_time_for_text,
            cancelling_ends_a_delivery_that_waits_for_its_source,
        ], lookups: [
            an_answer_of_the_name_server_that_does_not_fit_is_fetched_over_tcp,
            the_operating_system_finds_hosts_for_native_lookups,
            a_table_that_panics_defers_the_mail,
            a_table_that_is_awaited_is_asked_on_the_thread_of_its_delivery,
            a_table_that_is_awaited_and_panics_defers_the_mail,
            cancelling_does_not_wait_for_a_table_that_is_awaited,
            a_refused_token_is_renewed_by_its_source_of_either_kind,
            a_source_of_tokens_that_panics_defers_the_mail,
        ]}
    };
    ($client:ty, dropping) => {
        $crate::tests! { $client, client: [
            a_dropped_delivery_closes_its_connection_and_gives_its_turn_back,
            a_dropped_stream_of_deliveries_drops_them,
        ]}
    };
    ($client:ty, mta_sts) => {
        $crate::tests! { $client, lookups: [a_policy_of_mta_sts_is_fetched_over_https] }
    };
    ($client:ty, recordings) => {
        #[test]
        fn every_recording() -> Result<(), $crate::Failures> {
            $crate::conformance::every_recording::<$client>()
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($client:ty, $($module:ident: [$($name:ident),* $(,)?]),*) => {
        $($(
            #[test]
            fn $name() {
                $crate::$module::$name::<$client>();
            }
        )*)*
    };
}

fn client<C: Client>(settings: &str) -> C {
    C::new(policy(settings, Vec::new()))
}

fn deliver(client: &impl Client, request: Request) -> Report {
    client.deliver(request, Bytes::from_static(TEXT), ())
}

fn serve(mut peer: Peer) {
    peer.serve_until("nothing");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_test_is_in_the_suite() {
        let suite = include_str!("lib.rs");
        for source in [
            include_str!("client.rs"),
            include_str!("lookups.rs"),
            include_str!("sources.rs"),
        ] {
            let tests = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub fn "));
            for test in tests.filter_map(|line| line.split('<').next()) {
                let listed = suite.lines().filter(|line| line.contains(test));
                assert_eq!(listed.count(), 1, "{test}");
            }
        }
    }
}
