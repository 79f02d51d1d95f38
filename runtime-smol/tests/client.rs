//! The suite of all runtimes.

mod tested;

use runtime_tests::suite;
use tested::Smol;

suite!(Smol);
suite!(Smol, dropping);
#[cfg(feature = "mta-sts")]
suite!(Smol, mta_sts);
