//! Sells gift cards: `POST /v1/gift-cards` charges the customer at another system, over HTTP. The tests of this crate run
//! it as two replicas, kill and freeze them anywhere, and count what the customer was charged.

use std::{process::ExitCode, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use api_error::{ApiError, Code, FromJson, Json, Node};
use auth::Verifier;
use clap::Parser;
use http_api::Caller;
use idempotency::http::{
    self, Key, Request, Response,
    remote::{self, Attempt, Finished, Operation, Remote, StepKey},
};
use pg::Columns as _;
use serde::{Deserialize, Serialize};
use service::{HasConfig, Runtime};
use telemetry::ServiceInfo;
use uuid::Uuid;

const SCHEMAS: &[pg::Schema] = &[("gift_cards", MIGRATIONS), ("idempotency", http::MIGRATIONS)];

const MIGRATIONS: &[pg::Migration] = &[(
    "V1__create_gift_cards",
    "CREATE TABLE gift_cards (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant text NOT NULL, amount_minor integer NOT NULL,
        state text NOT NULL CHECK (state IN ('reserved', 'active', 'declined')), charge text)",
)];

const RESERVE: &str =
    "INSERT INTO gift_cards (tenant, amount_minor, state) VALUES ($1, $2, 'reserved') RETURNING id";

const SETTLE: &str = "UPDATE gift_cards SET state = $2, charge = $3 WHERE id = $1";

/// Longer than the bank takes, and shorter than an attempt.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    service: service::Config,
    #[command(flatten)]
    database: pg::Config,
    #[command(flatten)]
    auth: auth::Config,
    #[command(flatten)]
    idempotency: http::Config,
    #[command(flatten)]
    operations: remote::Config,
    /// Where cards are charged.
    #[arg(long, env)]
    bank_url: String,
}

impl HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}

fn main() -> ExitCode {
    service::main(ServiceInfo { name: "gift-cards", version: env!("CARGO_PKG_VERSION") }, build)
}

#[expect(clippy::disallowed_methods, reason = "one route, in a program that shows a library")]
async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    let verifier = Verifier::from_file(&config.auth.auth_jwks_file, config.service.environment)?;
    let (limits, retention) = (config.operations.limits()?, config.idempotency.retention()?);
    let pool = pg::connect(&config.database, runtime.trust(), "gift-cards")?;
    let http = runtime.trust().http().timeout(CHARGE_TIMEOUT).build()?;
    let buy = Remote::new(pool.clone(), BuyGiftCard { bank_url: config.bank_url, http }, limits, retention);

    let pinged = pool.clone();
    runtime.readiness().add("postgres", move || {
        let pool = pinged.clone();
        Box::pin(async move { pool.ping().await.map_err(|error| error.to_string()) })
    });
    let (completer, database) = (buy.clone(), pool.clone());
    runtime.spawn_worker("gift cards", async move |stop| {
        if let Some(migrated) = stop.run_until_cancelled(pg::migrate(&database, SCHEMAS)).await {
            migrated?;
        }
        let purge = idempotency::Table::IdempotencyKeys.run_retention(database, stop.clone());
        tokio::join!(completer.complete_orphans(stop), purge);
        Ok(())
    });
    runtime.serve_http(move |api| {
        let buy = web::Data::new(buy.clone());
        api.app_data(verifier.clone())
            .service(web::resource("/v1/gift-cards").app_data(buy).route(web::post().to(buy_gift_card)));
    })?;
    runtime.on_stop("database pool", async move { pool.close() });
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct NewGiftCard {
    amount_minor: i32,
}

impl FromJson for NewGiftCard {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|card| {
            let amount_minor = card.required("amount_minor", |amount| amount.integer(i32::MIN..=i32::MAX));
            Some(Self { amount_minor: amount_minor? })
        })
    }
}

async fn buy_gift_card(
    caller: Caller,
    key: Key,
    request: HttpRequest,
    body: Json<NewGiftCard>,
    buy: web::Data<Remote<BuyGiftCard>>,
) -> Result<HttpResponse, ApiError> {
    caller.require("gift-cards:write")?;
    let (card, raw) = body.into_parts();
    let request = Request::new(caller.tenant.as_str(), key, &request, &raw)?;
    buy.run(&request, card).await
}

struct BuyGiftCard {
    bank_url: String,
    http: reqwest::Client,
}

/// What the bank said; declined without an id.
#[derive(Serialize, Deserialize)]
struct Charge {
    id: Option<String>,
}

impl Operation for BuyGiftCard {
    type Input = NewGiftCard;
    const NAME: &'static str = "buy_gift_card";

    async fn run(&self, attempt: &Attempt, card: &NewGiftCard) -> Result<Finished, ApiError> {
        let wanted = (attempt.tenant(), card.amount_minor);
        let id: Uuid = attempt
            .transact("reserve", &wanted, |tx, (tenant, amount_minor)| {
                Box::pin(async move {
                    if *amount_minor > 50_000 {
                        return Err(ApiError::new(Code::InvalidRequest, "A gift card holds 500.00 at most."));
                    }
                    Ok(tx.query_one(RESERVE, &[tenant, amount_minor]).await?.column(0)?)
                })
            })
            .await?;
        let charge: Charge = attempt.step("charge", |key| self.charge(key, card)).await?;
        attempt.finish(&(id, charge), |tx, (id, charge)| Box::pin(settle(tx, id, charge))).await
    }
}

async fn settle(tx: &pg::Tx<'_>, id: &Uuid, charge: &Charge) -> Result<Response, ApiError> {
    let state = if charge.id.is_some() { "active" } else { "declined" };
    tx.execute_exactly(1, SETTLE, &[id, &state, &charge.id]).await?;
    match &charge.id {
        Some(charge) => Ok(Response::json(201, &serde_json::json!({"id": id, "charge": charge}))
            .with_header("location", format!("/v1/gift-cards/{id}"))),
        None => Response::refusal(ApiError::new(Code::Conflict, "The bank declined the charge.")),
    }
}

impl BuyGiftCard {
    async fn charge(&self, key: StepKey, card: &NewGiftCard) -> Result<Charge, ApiError> {
        let unavailable = |error| ApiError::unavailable("the bank").with_source(error);
        let request = self.http.post(&self.bank_url).header("Idempotency-Key", key.as_str()).json(card);
        let response =
            request.send().await.and_then(reqwest::Response::error_for_status).map_err(unavailable)?;
        response.json().await.map_err(unavailable)
    }
}
