//! The duties of every store. [`suite!`](crate::suite) makes the tests for one of them, each on a fresh store.
//!
//! Nothing here depends on a clock that can be set: what is to be over is made to end at once.

// Not each store's file uses all of it.
#![allow(dead_code, unused_macros, unused_imports)]

pub(crate) mod destinations;
pub(crate) mod flows;
pub(crate) mod large;
pub(crate) mod messages;
pub(crate) mod recipients;
pub(crate) mod rivals;
pub(crate) mod rows;
pub(crate) mod shared;
pub(crate) mod tasks;
pub(crate) mod texts;
pub(crate) mod views;
pub(crate) mod whole;

use outpost_queue::store::{Operation, Store, StoreError};

/// A fresh store, with what it takes to use it.
pub(crate) trait Fixture: Sized + Sync {
    /// The store.
    type Store: Store;

    /// Makes an empty one.
    fn fresh() -> Self;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// Waits for a future. Threads may do so at the same time.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;

    /// Runs an operation that is to go well.
    fn run<O: Operation>(&self, operation: O) -> O::Output {
        self.attempt(operation).unwrap()
    }

    /// Runs an operation.
    fn attempt<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.block_on(self.store().run(operation))
    }
}

/// Makes an operation of a few calls. What it uses stands in brackets, and is there by reference.
macro_rules! script {
    ($tx:ident [$($name:ident: $type:ty),*] -> $output:ty $body:block) => {{
        struct Script {
            $($name: $type,)*
        }

        impl outpost_queue::store::Operation for Script {
            type Output = $output;

            async fn run<T: outpost_queue::store::Transaction>(
                &self,
                $tx: &mut T,
            ) -> Result<$output, outpost_queue::store::StoreError> {
                let Self { $($name,)* } = self;
                $body
            }
        }

        Script { $($name: $name.clone(),)* }
    }};
}
pub(crate) use script;

/// Makes the tests for a store. Attributes in front are for each of them.
#[macro_export]
macro_rules! suite {
    ($(#[$attribute:meta])* $fixture:ident) => {
        $crate::suite! { @ [$(#[$attribute])*] $fixture
            destinations {
                locked_in_their_order_and_made_once,
                every_field_comes_back,
                the_ready_ones_come_earliest_first,
            }
            flows {
                a_message_is_delivered,
                what_is_deferred_is_due_again,
                what_is_too_old_is_given_up,
                a_dead_worker_loses_its_right,
                doubt_is_marked_after_a_death,
                what_is_released_is_due_as_before,
                a_text_in_pieces_arrives_as_a_whole,
                what_is_old_is_purged,
                a_submission_that_is_run_again_is_there_once,
            }
            large {
                a_hundred_thousand_recipients,
                a_text_of_many_pieces,
                many_names_at_once,
            }
            messages {
                found_by_name_in_order,
                replaced_as_a_whole,
                saved_without_what_stays,
                owing_ones_come_earliest_first,
                stale_ones_are_found_by_their_end,
                deleted_with_all_that_is_theirs,
            }
            recipients {
                found_by_task_in_the_order_of_the_envelope,
                every_field_comes_back,
                saved_without_what_stays,
                owed_ones_come_by_place,
                addresses_may_have_any_character,
            }
            rivals {
                no_task_is_claimed_twice,
                no_window_is_exceeded,
                numbers_are_given_out_once,
                sums_of_many_threads_are_right,
                one_of_many_claims_a_thing,
            }
            shared {
                put_and_found_until_they_are_over,
                scanned_in_order,
                claimed_by_the_first,
                added_up,
                deleted_by_name,
                purged_when_they_are_over,
            }
            tasks {
                found_by_name_in_order,
                every_field_comes_back,
                saved_without_what_stays,
                deleted_by_name,
                new_ones_come_in_order,
                due_ones_come_earliest_first,
                the_next_due_time_is_told,
                abandoned_ones_come_earliest_first,
                watched_ones_come_earliest_first,
                found_by_message,
            }
            texts {
                come_in_pieces,
                first_pieces_come_by_name,
                deleted_alone,
                bytes_stay_as_they_are,
            }
            views {
                filters_are_held_to,
                lists_go_on_behind_a_name,
                counts_are_right,
                loads_are_right,
            }
            whole {
                what_fails_leaves_nothing,
                what_fails_says_why,
                empty_lists_do_nothing,
                time_goes_on,
                numbers_grow,
                durability_changes_no_result,
                what_only_reads_sees_what_was_written,
            }
        }
    };
    (@ $attributes:tt $fixture:ident $($module:ident $names:tt)*) => {$(
        mod $module {
            use super::{$fixture, conformance::Fixture};

            $crate::suite! { @@ $attributes $fixture $module $names }
        }
    )*};
    (@@ [$($attribute:tt)*] $fixture:ident $module:ident { $name:ident, $($more:ident,)* }) => {
        #[test]
        $($attribute)*
        fn $name() {
            super::conformance::$module::$name(&$fixture::fresh());
        }
        $crate::suite! { @@ [$($attribute)*] $fixture $module { $($more,)* } }
    };
    (@@ $attributes:tt $fixture:ident $module:ident {}) => {};
}
