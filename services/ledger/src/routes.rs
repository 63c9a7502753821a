//! The HTTP interface.

mod accept;
mod account_body;
mod bank_notification;
mod change_account;
mod create_account;
mod create_transfer;
mod get_account;
mod get_transfer;
mod id;
mod list_accounts;
mod list_postings;
mod list_transfers;
mod reverse_transfer;
mod transfer_body;

use api_error::Code;
use http_api::{Api, operation};

/// Why a transfer between two accounts can be refused.
const REFUSED: &[Code] =
    &[Code::InsufficientFunds, Code::AccountFrozen, Code::AccountClosed, Code::BalanceLimit];

/// The table of operations, each with its scope and the errors that it may return.
pub(crate) fn api() -> Api {
    Api::new("ledger", env!("CARGO_PKG_VERSION"), "Keeps accounts, and transfers money between them.")
        .operation(operation!(create_account::create_account).scope("accounts:write"))
        .operation(operation!(list_accounts::list_accounts).scope("accounts:read"))
        .operation(operation!(get_account::get_account).scope("accounts:read").errors(&[Code::NotFound]))
        .operation(operation!(change_account::change_account).scope("accounts:write").errors(&[
            Code::NotFound,
            Code::AccountClosed,
            Code::AccountInUse,
            Code::PreconditionFailed,
        ]))
        .operation(operation!(list_postings::list_postings).scope("accounts:read").errors(&[Code::NotFound]))
        .operation(
            operation!(create_transfer::create_transfer)
                .scope("transfers:write")
                .errors(&[Code::UnknownAccount, Code::CurrencyMismatch])
                .errors(REFUSED),
        )
        .operation(operation!(list_transfers::list_transfers).scope("transfers:read"))
        .operation(operation!(get_transfer::get_transfer).scope("transfers:read").errors(&[Code::NotFound]))
        .operation(
            operation!(reverse_transfer::reverse_transfer)
                .scope("transfers:write")
                .errors(&[Code::NotFound, Code::NotReversible, Code::AlreadyReversed])
                .errors(REFUSED),
        )
        .operation(
            operation!(bank_notification::receive_notification)
                .public("the bank signs its webhooks, and has no token of an issuer")
                .errors(&[Code::Unauthenticated]),
        )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_matches_the_code() {
        testkit::assert_committed("docs/openapi/ledger.json", &super::api().to_json(), "make openapi");
    }
}
