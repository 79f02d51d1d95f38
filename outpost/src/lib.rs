//! Delivery of mail.
