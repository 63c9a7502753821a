//! `POST /v1/accounts`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use api_error::{ApiError, FromJson, Json, Node};
use chrono::{SubsecRound, Utc};
use http_api::Caller;
use idempotency::http::{self, Answer, Effect, Key, Request, Response, Stored};
use money::Currency;
use pg::{Tx, TxFuture};
use utoipa::ToSchema;

use super::account_body::{AccountBody, AccountKind as KindSchema};
use crate::{
    domain::{Account, AccountKind, AccountName, NewAccount},
    state::State,
    store,
};

/// An account to create.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount, example = json!({ "name": "Ada", "kind": "customer", "currency": "EUR", "may_overdraw": false }))]
pub(super) struct NewAccountBody {
    /// For people; optional.
    #[schema(
        value_type = Option<String>, nullable = false, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: Option<AccountName>,
    #[schema(value_type = KindSchema)]
    kind: AccountKind,
    /// ISO 4217 code. The ledger exchanges no currencies.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$")]
    currency: Currency,
    /// The available balance can become negative.
    may_overdraw: bool,
}

impl FromJson for NewAccountBody {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|account| {
            let name = account.optional_text("name");
            let kind = account.required_text("kind");
            let currency = account.required_text("currency");
            let may_overdraw = account.required_boolean("may_overdraw");
            Some(Self { name: name?, kind: kind?, currency: currency?, may_overdraw: may_overdraw? })
        })
    }
}

/// Creates an account with a balance of zero.
///
/// Retries with the same `Idempotency-Key` create one account and get the same response.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts",
    params((
        "Idempotency-Key" = String, Header, description = "Unique key of this request, such as a UUID. A retry sends the same key.",
        min_length = 1, max_length = 255, pattern = "^[!#-~]+$", example = "5b0f6c0e-6a53-4f53-9d52-2f3f7c1f8a10",
    )),
    request_body = NewAccountBody,
    responses((
        status = 201, description = "The account is created.", body = AccountBody,
        headers(
            ("Location" = String, description = "Path of the account."),
            ("Idempotent-Replayed" = String, description = "`true` if this response is a replay of the response to an earlier request."),
        ),
    )),
)]
pub(super) async fn create_account(
    caller: Caller,
    key: Key,
    request: HttpRequest,
    body: Json<NewAccountBody>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (body, raw) = body.into_parts();
    let NewAccountBody { name, kind, currency, may_overdraw } = body;
    let tenant = caller.tenant.as_str();
    let request = Request::new(tenant, key, &request, &raw)?;
    let create = CreateAccount { tenant, facts: NewAccount { name, kind, currency, may_overdraw } };
    http::local(&state.pool, "create_account", &request, state.retention, &create).await
}

struct CreateAccount<'a> {
    tenant: &'a str,
    facts: NewAccount,
}

impl Effect for CreateAccount<'_> {
    type Error = ApiError;
    type Found = ();

    fn read<'t>(&'t self, _: &'t Tx<'_>) -> TxFuture<'t, (), ApiError> {
        Box::pin(async { Ok(()) })
    }

    fn run<'t>(&'t self, tx: &'t Tx<'_>, (): (), answer: Answer<'t>) -> TxFuture<'t, Stored, ApiError> {
        Box::pin(async move {
            let account = Account::open(self.tenant, self.facts.clone(), Utc::now().trunc_subsecs(6));
            store::accounts::insert(tx, &account).await?;
            fail_point::hit("ledger.account.inserted");
            let location = format!("/v1/accounts/{}", account.id);
            let response =
                Response::json(201, &AccountBody::from(&account)).with_header("location", location);
            Ok(answer.store(tx, response).await?)
        })
    }
}
