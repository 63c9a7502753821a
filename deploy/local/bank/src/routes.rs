//! The HTTP interfaces: the API, and the switch on the admin port.

mod guard;
mod instruction;
mod misbehaviour;
mod statement;

use std::time::Duration;

use actix_web::middleware::from_fn;
use api_error::{Code, error_boundary};
use http_api::{Api, Operation, OperationBuilder, operation};

/// Time for an answer on the admin port.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The table of the operations of the API.
pub(crate) fn api() -> Api {
    Api::new("bank", env!("CARGO_PKG_VERSION"), "Settles payments, like a bank's settlement network.")
        .operation(guarded(operation!(instruction::put_instruction)).errors(&[Code::Conflict]))
        .operation(guarded(operation!(instruction::get_instruction)).errors(&[Code::NotFound]))
        .operation(guarded(operation!(statement::read_statement)))
}

/// The table of the operations of the admin port.
pub(crate) fn admin_api() -> Api {
    const PUBLIC: &str = "the admin port is not on a public network";
    // The admin port has no error boundary of its own.
    let bounded = |operation: Operation| operation.through(|route| route.wrap(error_boundary(ADMIN_TIMEOUT)));
    Api::new("bank-admin", env!("CARGO_PKG_VERSION"), "Shows and changes how the bank misbehaves.")
        .operation(bounded(operation!(misbehaviour::get_misbehaviour).public(PUBLIC)))
        .operation(bounded(operation!(misbehaviour::put_misbehaviour).public(PUBLIC)))
}

/// An operation that needs the key of the bank, unless the bank is down. Both are checked before the body is read.
fn guarded(operation: OperationBuilder) -> Operation {
    operation
        .public("it needs the key of the bank as a bearer token, and no token of an issuer")
        .errors(&[Code::Unauthenticated])
        .through(|route| route.wrap(from_fn(guard::require_key)).wrap(from_fn(guard::refuse_while_down)))
}
