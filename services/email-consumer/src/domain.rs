//! What is told to customers, and how. Knows neither Kafka nor SMTP nor the database.

pub(crate) mod link_code;
pub(crate) mod mail;
pub(crate) mod notice;
