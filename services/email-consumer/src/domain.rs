//! E-mails about orders. Independent of Kafka, SMTP and the database.

pub(crate) mod link_code;
pub(crate) mod order_email;
