//! One message as it is handed to a client that takes many.

use crate::request::Request;

/// A message to be delivered: the request, its text, and whoever watches.
#[derive(Clone, Debug)]
pub struct Submission<T, O> {
    /// The envelope and the next hop.
    pub request: Request,
    /// The source of the message text.
    pub text: T,
    /// The observer; `()` watches nothing.
    pub observer: O,
}

impl<T> Submission<T, ()> {
    /// A message that nobody watches.
    pub const fn new(request: Request, text: T) -> Self {
        let observer = ();
        Self {
            request,
            text,
            observer,
        }
    }
}

impl<T, O> Submission<T, O> {
    /// The same message, watched by `observer`.
    #[must_use]
    pub fn watched_by<P>(self, observer: P) -> Submission<T, P> {
        let Self { request, text, .. } = self;
        Submission {
            request,
            text,
            observer,
        }
    }
}
