//! Policies that several processes fetch in common: whoever is first fetches, and the others take what came. This is
//! the side of those who fetch; where such policies are kept is for others to say.

use core::{fmt, future::Future, pin::Pin};

use super::{FetchError, Fetched, PolicyFetch};

/// An answer of a [`PolicyShare`] on its way.
pub type ShareFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place where processes leave the policies that they have fetched. Whoever fetches asks it before and tells it
/// afterwards, and does without it where it does not answer: it can save a fetch, and never a look at the record.
pub trait PolicyShare: fmt::Debug + Send + Sync {
    /// Asks for a policy, or for the right to fetch it. It is asked again for as long as it says
    /// [`Later`](Turn::Later), though not for longer than half a minute.
    fn turn<'a>(&'a self, wanted: &'a PolicyFetch) -> ShareFuture<'a, Turn>;

    /// Hears how a fetch has ended that it gave the right to. What failed is not passed on: others try themselves.
    fn tell<'a>(
        &'a self,
        wanted: &'a PolicyFetch,
        result: &'a Result<Fetched, FetchError>,
    ) -> ShareFuture<'a, ()>;
}

/// The answer to someone who is about to fetch a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Somebody has fetched it, for the same id and less than a day ago.
    Theirs(Fetched),
    /// It is to be fetched now.
    Ours,
    /// Somebody is fetching it.
    Later,
}
