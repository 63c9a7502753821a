//! The attribute names of OpenTelemetry's semantic conventions that this system uses, in one place.
//!
//! Those of HTTP are stable. Those of messaging are still in development, so a change of theirs is a change here only.
//! Use them as field names: `info_span!("publish", { semconv::MESSAGING_SYSTEM } = semconv::KAFKA)`.

/// The HTTP method, `_OTHER` when it is not a known one.
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
/// The status of the response.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
/// The template of the route, never the path.
pub const HTTP_ROUTE: &str = "http.route";
/// What kind of failure ended the operation.
pub const ERROR_TYPE: &str = "error.type";
/// The host that a client talks to.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that a client talks to.
pub const SERVER_PORT: &str = "server.port";

/// The messaging system.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// The value of [`MESSAGING_SYSTEM`] for Kafka.
pub const KAFKA: &str = "kafka";
/// The kind of operation: `send`, `receive`, `process`, `settle`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// The topic.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// The partition, as text.
pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
/// The consumer group.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// The id of the message; the event id here.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// The offset in the partition.
pub const MESSAGING_KAFKA_OFFSET: &str = "messaging.kafka.offset";
/// The key of the message; the aggregate id here.
pub const MESSAGING_KAFKA_MESSAGE_KEY: &str = "messaging.kafka.message.key";
