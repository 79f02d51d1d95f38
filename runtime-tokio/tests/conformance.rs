//! Every recording of a real Postfix, on real sockets.

mod tested;

runtime_tests::suite!(tested::Tokio, recordings);
