//! Composition root: builds the parts of the service and connects them.

use std::{sync::Arc, time::Duration};

use actix_web::web::Data;
use auth::Verifier;
use events::{Encoder, Registry, orders::event_types};
use outbox::Relay;
use pg::Pool;
use service::Runtime;

use crate::{
    catalogue::{Catalogue, CatalogueLoaded},
    config::Config,
    lateness::LatenessMonitor,
    metrics,
    order_events::OrderEvents,
    process::OrderProcess,
    routes,
    state::State,
    store,
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
    let process = OrderProcess::new(pool.clone(), events, relay.wake());
    let catalogue_loaded = CatalogueLoaded::default();
    runtime.reached_over_tls(tracking.is_https());
    let state = Data::new(State {
        pool: pool.clone(),
        encoder: encoder.clone(),
        tracking,
        cursors,
        process: process.wake(),
        relay: relay.wake(),
        retention,
        catalogue: catalogue_loaded.clone(),
    });

    metrics::show_requests();
    metrics::show_journey();
    watch_dependencies(runtime, &pool, &registry, &encoder, &relay);
    watch_catalogue(runtime, &catalogue_loaded);
    runtime.spawn_worker("schemas", move |stop| async move {
        let types = event_types();
        tokio::select! {
            registered = encoder.register(&registry, &types) => registered?,
            () = stop.cancelled() => {}
        }
        stop.cancelled().await;
        Ok(())
    });
    let lateness = LatenessMonitor { pool: pool.clone(), final_within: config.final_within() };
    let preparation = Preparation { catalogue, loaded: catalogue_loaded };
    spawn_database_workers(runtime, &pool, preparation, relay, process, lateness);
    runtime.serve_http(move |services| {
        services
            .app_data(state.clone())
            .app_data(verifier.clone())
            .app_data(admission.clone())
            .configure(routes::configure);
    })?;
    runtime.on_stop("database pool", async move { pool.close() });
    Ok(())
}

/// Prepares the database: schema and catalogue.
struct Preparation {
    catalogue: Option<Catalogue>,
    loaded: CatalogueLoaded,
}

impl Preparation {
    async fn run(&self, pool: &Pool) -> Result<(), pg::Error> {
        pg::migrate(pool, store::SCHEMAS).await?;
        if let Some(catalogue) = &self.catalogue {
            catalogue.add_missing(pool).await?;
        }
        self.loaded.set();
        Ok(())
    }
}

/// Runs the workers on the database, after its preparation.
fn spawn_database_workers(
    runtime: &mut Runtime,
    pool: &Pool,
    preparation: Preparation,
    relay: Arc<Relay>,
    process: OrderProcess,
    lateness: LatenessMonitor,
) {
    let pool = pool.clone();
    runtime.spawn_worker("database", move |stop| async move {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            prepared = preparation.run(&pool) => prepared?,
        }
        tokio::join!(
            relay.run(stop.clone()),
            process.run(stop.clone()),
            lateness.run(stop.clone()),
            idempotency::Table::IdempotencyKeys.run_retention(pool, stop),
        );
        Ok(())
    });
}

/// The pool opens before the catalogue is loaded. Until then, the service would refuse orders because of unknown products.
fn watch_catalogue(runtime: &Runtime, loaded: &CatalogueLoaded) {
    let loaded = loaded.clone();
    runtime.readiness().add("catalogue", move || {
        let outcome = loaded.get().then_some(()).ok_or_else(|| "it is not in the database yet".to_owned());
        Box::pin(std::future::ready(outcome))
    });
}

/// Kafka is deferrable: the service accepts orders without it, and publishes their events when it is back.
fn watch_dependencies(
    runtime: &Runtime,
    pool: &Pool,
    registry: &Registry,
    encoder: &Encoder,
    relay: &Arc<Relay>,
) {
    let readiness = runtime.readiness();
    let pool = pool.clone();
    readiness.add("postgres", move || {
        let pool = pool.clone();
        Box::pin(async move { pool.ping().await.map_err(|error| error.to_string()) })
    });
    let (registry, encoder) = (registry.clone(), encoder.clone());
    readiness.add("schema-registry", move || {
        let (registry, encoder) = (registry.clone(), encoder.clone());
        Box::pin(async move {
            if encoder.is_ready() {
                // The schemas are registered; the registry is not needed any more.
                return Ok(());
            }
            registry.ping().await.map_err(|error| error.to_string())?;
            Err("the schemas are not registered yet".to_owned())
        })
    });
    let relay = Arc::clone(relay);
    readiness.add_deferrable("kafka", move || {
        let relay = Arc::clone(&relay);
        Box::pin(async move { relay.ping(PING_TIMEOUT).await })
    });
}
