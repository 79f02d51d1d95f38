//! The suite of all runtimes.

mod tested;

use runtime_tests::suite;
use tested::Blocking;

suite!(Blocking);
#[cfg(feature = "mta-sts")]
suite!(Blocking, mta_sts);
