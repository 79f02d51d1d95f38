//! The life of workers.
