//! `PATCH /v1/accounts/{account_id}`: freezes, opens or closes an account. It sets a state, so it needs no idempotency key.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use api_error::{ApiError, Code, FromJson, Json, Node};
use chrono::{SubsecRound, Utc};
use http_api::{
    Caller,
    conditional::{Conditions, precondition_failed},
};
use pg::Tx;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    account_body::{AccountBody, AccountState as StateSchema},
    id::{account_id, no_account},
};
use crate::{
    domain::{Account, AccountState, ChangeError, StateChange},
    state::State,
    store,
};

/// A change of an account.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange, example = json!({ "state": "frozen" }))]
pub(super) struct AccountChangeBody {
    #[schema(value_type = StateSchema)]
    state: AccountState,
}

impl FromJson for AccountChangeBody {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|change| {
            let state = change.required_text("state");
            Some(Self { state: state? })
        })
    }
}

/// Freezes, opens or closes an account.
///
/// A frozen account sends and receives nothing: new transfers are refused, and pending ones fail, except those that the bank may have settled
/// already. Closing is final, and needs a balance of zero and no pending transfer. Setting the state that the account has changes nothing. With `If-Match`, the request changes only the version
/// that the client knows; every transfer makes a new one.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}", tag = "accounts",
    params(
        ("account_id" = Uuid, Path, description = "Id of the account.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"),
        (
            "If-Match" = Option<String>, Header,
            description = "Change the account only if its `ETag` is listed here.",
            pattern = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#,
        ),
    ),
    request_body = AccountChangeBody,
    responses((status = 200, description = "The account has this state.", body = AccountBody)),
)]
pub(super) async fn change_account(
    caller: Caller,
    id: Path<String>,
    conditions: Conditions,
    body: Json<AccountChangeBody>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let tenant = caller.tenant.as_str();
    let wanted = (tenant, account_id(&id)?, body.into_inner().state, conditions);
    let account =
        pg::run_tx(&state.pool, "change_account", &wanted, |tx, (tenant, id, state, conditions)| {
            Box::pin(change(tx, tenant, *id, *state, conditions))
        })
        .await?;
    Ok(HttpResponse::Ok().json(AccountBody::from(&account)))
}

/// A change that has been made already succeeds: the request may be the retry of one whose response got lost (RFC 9110, section 13.1.1).
async fn change(
    tx: &Tx<'_>,
    tenant: &str,
    id: Uuid,
    state: AccountState,
    conditions: &Conditions,
) -> Result<Account, ApiError> {
    let mut account = store::accounts::lock(tx, tenant, id).await?.ok_or_else(no_account)?;
    let has_pending = state == AccountState::Closed && store::accounts::has_pending(tx, id).await?;
    let tag = account.tag();
    let change = account.change_state(state, has_pending, Utc::now().trunc_subsecs(6)).map_err(refused)?;
    let repeated = change == StateChange::Unchanged && conditions.allow_repetition();
    if !conditions.hold(Some(&tag)) && !repeated {
        return Err(precondition_failed());
    }
    if change == StateChange::Changed {
        store::accounts::update_state(tx, &account).await?;
    }
    Ok(account)
}

fn refused(error: ChangeError) -> ApiError {
    match error {
        ChangeError::Closed => ApiError::new(Code::AccountClosed, "The account is closed, which is final."),
        ChangeError::InUse => ApiError::new(
            Code::AccountInUse,
            "The account has a balance or pending transfers. Bring the balance to zero, and close it when nothing is pending.",
        ),
    }
}
