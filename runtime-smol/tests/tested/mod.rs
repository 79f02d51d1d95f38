//! This runtime's client, as the suite of all runtimes takes it.

runtime_tests::waiting_client!(Smol, runtime_smol::Client, smol::block_on);
