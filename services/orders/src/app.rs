//! Composition root: builds the parts of the service and connects them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::web::Data;
use auth::Verifier;
use events::{Encoder, Registry, RegistryError, orders, promotions};
use futures::future::OptionFuture;
use outbox::Relay;
use pg::Pool;
use service::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    back_pressure::BackPressure,
    catalogue::Catalogue,
    config::Config,
    lateness::LatenessMonitor,
    metrics,
    order_events::OrderEvents,
    process::OrderProcess,
    routes,
    state::State,
    store,
    win_back::{PromotionEvents, WinBack},
};
use http_api::Admission;

/// Timeout of the broker in a readiness check; shorter than the timeout of the check itself.
const PING_TIMEOUT: Duration = Duration::from_millis(800);

/// Builds the service. It also starts while dependencies are down; readiness names them.
pub(crate) async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    let tracking = config.tracking()?;
    let cursors = config.cursors()?;
    let retention = config.idempotency.retention()?;
    let verifier = Verifier::from_file(&config.auth.auth_jwks_file, config.service.environment)?;
    let admission = Admission::new(&config.admission);
    let catalogue = config.orders_catalogue_file.as_deref().map(Catalogue::read).transpose()?;
    let pool = pg::connect(&config.database, runtime.trust(), "orders")?;
    let registry = Registry::new(&config.registry, runtime.trust());
    let encoder = Encoder::new(&config.orders_events_topic);
    let relay = Relay::new(pool.clone(), config.kafka.kafka(runtime.trust())?);
    let events = OrderEvents { encoder: encoder.clone(), tracking: tracking.clone() };
    let win_back = win_back(&config, &pool, &tracking.public_url, &relay);
    let process = OrderProcess::new(pool.clone(), events, relay.wake());
    let back_pressure = BackPressure::new(config.back_pressure.clone());
    let catalogue_loaded = Arc::new(OnceLock::new());
    runtime.reached_over_tls(tracking.is_https());
    let state = Data::new(State {
        pool: pool.clone(),
        encoder: encoder.clone(),
        tracking,
        cursors,
        process: process.wake(),
        relay: relay.wake(),
        retention,
        back_pressure: Arc::clone(&back_pressure),
        catalogue: Arc::clone(&catalogue_loaded),
    });

    metrics::show();
    watch_dependencies(runtime, &state, &registry, &relay);
    let promotions = win_back.as_ref().map(|win_back| win_back.events.encoder.clone());
    runtime.spawn_worker("schemas", move |stop| async move {
        stop.run_until_cancelled(register_schemas(&registry, &encoder, promotions)).await.transpose()?;
        stop.cancelled().await;
        Ok(())
    });
    let lateness = LatenessMonitor { pool: pool.clone(), final_within: config.final_within() };
    let workers = DatabaseWorkers {
        pool: pool.clone(),
        catalogue,
        catalogue_loaded,
        relay,
        back_pressure,
        process,
        lateness,
        win_back,
    };
    runtime.spawn_worker("database", |stop| workers.run(stop));
    runtime.serve_http(move |services| {
        services
            .app_data(state.clone())
            .app_data(verifier.clone())
            .app_data(admission.clone())
            .configure(|services| routes::api().register(services));
    })?;
    runtime.on_stop("database pool", async move { pool.close() });
    Ok(())
}

/// The search for customers to win back, if there is one.
fn win_back(config: &Config, pool: &Pool, public_url: &str, relay: &Relay) -> Option<WinBack> {
    let every = Duration::from_secs(config.orders_win_back_every_s?.into());
    let encoder = Encoder::new(&config.orders_promotions_topic);
    let events = PromotionEvents { encoder, public_url: public_url.to_owned() };
    Some(WinBack {
        pool: pool.clone(),
        events,
        relay: relay.wake(),
        every,
        backlog: relay.backlog(),
        bounds: config.back_pressure.clone(),
    })
}

/// The schemas of orders first: no order is accepted without them.
async fn register_schemas(
    registry: &Registry,
    orders: &Encoder,
    promotions: Option<Encoder>,
) -> Result<(), RegistryError> {
    orders.register(registry, &orders::event_types()).await?;
    if let Some(promotions) = promotions {
        promotions.register(registry, &promotions::event_types()).await?;
    }
    Ok(())
}

/// Kafka is deferrable: the service accepts orders without it, and publishes their events when it is back. The catalogue is required, because
/// the pool opens before it is loaded: until then, the service would refuse orders because of unknown products.
fn watch_dependencies(runtime: &Runtime, state: &State, registry: &Registry, relay: &Arc<Relay>) {
    let readiness = runtime.readiness();
    readiness.add_ping("postgres", state.pool.clone(), |pool| async move { pool.ping().await });
    readiness.add_ping("catalogue", Arc::clone(&state.catalogue), |loaded| async move {
        loaded.get().copied().ok_or("it is not in the database yet")
    });
    readiness.add_ping("schema-registry", (registry.clone(), state.encoder.clone()), ping_registry);
    let relay = Arc::clone(relay);
    readiness.add_deferrable("kafka", move || {
        let relay = Arc::clone(&relay);
        Box::pin(async move { relay.ping(PING_TIMEOUT).await })
    });
}

/// The registry is not needed any more when the schemas are registered.
async fn ping_registry((registry, encoder): (Registry, Encoder)) -> anyhow::Result<()> {
    if !encoder.is_ready() {
        registry.ping().await?;
        anyhow::bail!("the schemas are not registered yet");
    }
    Ok(())
}

struct DatabaseWorkers {
    pool: Pool,
    catalogue: Option<Catalogue>,
    catalogue_loaded: Arc<OnceLock<()>>,
    relay: Arc<Relay>,
    back_pressure: Arc<BackPressure>,
    process: OrderProcess,
    lateness: LatenessMonitor,
    win_back: Option<WinBack>,
}

impl DatabaseWorkers {
    /// Prepares the database, then runs the workers until `stop`.
    async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Some(prepared) = stop.run_until_cancelled(self.prepare()).await else { return Ok(()) };
        prepared?;
        let backlog = self.relay.backlog();
        tokio::join!(
            self.back_pressure.run(backlog, stop.clone()),
            self.relay.run(stop.clone()),
            self.process.run(stop.clone()),
            self.lateness.run(stop.clone()),
            OptionFuture::from(self.win_back.map(|win_back| win_back.run(stop.clone()))),
            idempotency::Table::IdempotencyKeys.run_retention(self.pool, stop),
        );
        Ok(())
    }

    async fn prepare(&self) -> Result<(), pg::Error> {
        pg::migrate(&self.pool, store::SCHEMAS).await?;
        if let Some(catalogue) = &self.catalogue {
            catalogue.add_missing(&self.pool).await?;
        }
        self.catalogue_loaded.get_or_init(|| ());
        Ok(())
    }
}
