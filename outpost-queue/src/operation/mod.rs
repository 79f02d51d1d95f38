//! The operations on the queue, each in one transaction. The rules are those of [`rules`](crate::rules), the rows come
//! from a [`Transaction`](crate::store::Transaction), and nothing here knows which store it is.
//!
//! ```text
//!  Submit ─▶ New ── Admit ─▶ Ready ── Claim ─▶ Leased ── Mark ─▶ in doubt ── Conclude ─▶ gone, Ready or Held
//!                     └───────────────────────▶ │                                ▲
//!                                               └── Reap (the worker died) ──────┘
//! ```

mod admit;
mod check;
mod claim;
mod conclude;
mod inspect;
mod lease;
mod look;
mod manage;
mod owe;
mod purge;
mod read;
mod reap;
mod set_aside;
mod submit;
mod suppress;

pub use self::{
    admit::Admit,
    check::Check,
    claim::{Claim, Claimed},
    conclude::{Conclude, Concluded, Conclusion},
    inspect::{List, Listed, Show, Shown, State, Survey},
    lease::{Mark, Release, Renew, Right},
    look::{Finding, Look, Looked, Seen},
    manage::{Change, Manage, Managed},
    owe::MakeReports,
    purge::Purge,
    read::ReadText,
    reap::{Reap, Reaped},
    set_aside::SetAside,
    submit::{Addressee, Append, Begin, Submission, SubmissionKey, Submit, Submitted},
    suppress::{ListSuppressed, Suppress, Suppressed, Unsuppress},
};
