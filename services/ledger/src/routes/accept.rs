//! Accepts a transfer: what `POST /v1/transfers` and a reversal have in common.

use api_error::{ApiError, Code};
use chrono::{SubsecRound, Utc};
use futures::try_join;
use idempotency::http::{Answer, Response, Stored};
use pg::Tx;
use telemetry::trace::Propagation;

use super::transfer_body::{TransferBody, location};
use crate::{
    domain::{Instruction, Refusal, Side, Snapshot, Unfit},
    store,
};

/// Holds the amount, inserts the pending transfer, and stores the response.
pub(super) async fn accept(
    tx: &Tx<'_>,
    tenant: &str,
    instruction: Instruction,
    answer: Answer<'_>,
) -> Result<Stored, ApiError> {
    let accounts = [instruction.source, instruction.destination];
    let mut books = store::accounts::lock_of_tenant(tx, tenant, &accounts).await?;
    fail_point::hit("ledger.transfer.locked");
    let transfer = books.accept(tenant, instruction, Utc::now().trunc_subsecs(6)).map_err(refused)?;
    let id = transfer.details.id;
    let body = TransferBody::from(&Snapshot::from(&transfer));
    let response = Response::json(202, &body).with_header("location", location(id));
    let propagation = Propagation::current();
    let hold = async {
        store::accounts::update_balances(tx, &books).await?;
        fail_point::hit("ledger.transfer.held");
        Ok(())
    };
    let insert = async {
        store::transfers::insert(tx, &transfer).await?;
        fail_point::hit("ledger.transfer.inserted");
        Ok(())
    };
    let settlement = store::settlements::insert(tx, id, &propagation);
    let ((), (), (), stored) = try_join!(hold, insert, settlement, answer.store(tx, response))?;
    Ok(stored)
}

fn refused(refusal: Refusal) -> ApiError {
    let (code, message, fault) = match refusal {
        Refusal::Unknown(side) => (
            Code::UnknownAccount,
            "The transfer names an account that the tenant does not have.",
            Some((side, "is not an account of the tenant")),
        ),
        Refusal::OtherCurrency(side) => (
            Code::CurrencyMismatch,
            "The amount and both accounts must have the same currency.",
            Some((side, "has another currency than the amount")),
        ),
        Refusal::Unfit(side, Unfit::Frozen) => (
            Code::AccountFrozen,
            "An account of the transfer is frozen: it sends and receives nothing.",
            Some((side, "is frozen")),
        ),
        Refusal::Unfit(side, Unfit::Closed) => (
            Code::AccountClosed,
            "An account of the transfer is closed: it sends and receives nothing.",
            Some((side, "is closed")),
        ),
        Refusal::Unfit(side, Unfit::BalanceLimit) => (
            Code::BalanceLimit,
            "The transfer would bring a balance beyond 9007199254740991 minor units. Transfer less.",
            Some((side, "would have too large a balance")),
        ),
        Refusal::InsufficientFunds => (
            Code::InsufficientFunds,
            "The available balance of the source is lower than the amount. Transfer less, or later.",
            None,
        ),
    };
    let error = ApiError::new(code, message);
    match fault {
        Some((Side::Source, fault)) => error.with_detail("/source", fault),
        Some((Side::Destination, fault)) => error.with_detail("/destination", fault),
        None => error,
    }
}
