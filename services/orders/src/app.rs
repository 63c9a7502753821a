//! The composition root: what the service is made of, and who knows whom.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::web::Data;
use auth::Verifier;
use cursor::Cursors;
use events::{Encoder, Registry, orders::event_types};
use idempotency::http::Retention;
use outbox::Relay;
use pg::Pool;
use service::Runtime;

use crate::{
    catalogue::Catalogue,
    config::{Config, Tracking},
    journey::Journey,
    metrics,
    notice::Notices,
    process::{OrderProcess, Patience, Wake},
    routes, store,
};
use http_api::Admission;

/// How long a readiness check waits for a broker; below the limit of readiness checks as such.
const PING_TIMEOUT: Duration = Duration::from_millis(800);

/// What handlers need.
pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) encoder: Encoder,
    pub(crate) tracking: Tracking,
    pub(crate) cursors: Cursors,
    pub(crate) process: Wake,
    pub(crate) relay: outbox::Wake,
    pub(crate) retention: Retention,
    pub(crate) catalogue: CatalogueLoaded,
}

/// Whether the products of the catalogue file are in the database. Before that, a product that is not found may be one of them.
#[derive(Clone, Default)]
pub(crate) struct CatalogueLoaded(Arc<AtomicBool>);

impl CatalogueLoaded {
    pub(crate) fn is_true(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Puts the service together. Dependencies that are down do not keep it from starting: it says so, and waits for them.
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
    let process = OrderProcess {
        pool: pool.clone(),
        encoder: encoder.clone(),
        notices: Notices::new(tracking.clone()),
        relay: relay.wake(),
        wake: Wake::default(),
        patience: Patience::default(),
    };
    let catalogue_loaded = CatalogueLoaded::default();
    runtime.reached_over_tls(tracking.is_https());
    let state = Data::new(State {
        pool: pool.clone(),
        encoder: encoder.clone(),
        tracking,
        cursors,
        process: process.wake.clone(),
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
    let journey = Journey { pool: pool.clone(), final_within: config.final_within() };
    let preparation = Preparation { catalogue, loaded: catalogue_loaded };
    spawn_database_workers(runtime, &pool, preparation, relay, process, journey);
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

/// What is to be in the database before anything works on it.
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

/// Everything that works on the database begins when its schema is up to date, and the catalogue in it.
fn spawn_database_workers(
    runtime: &mut Runtime,
    pool: &Pool,
    preparation: Preparation,
    relay: Arc<Relay>,
    process: OrderProcess,
    journey: Journey,
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
            journey.run(stop.clone()),
            idempotency::Table::IdempotencyKeys.run_retention(pool, stop),
        );
        Ok(())
    });
}

/// The pool opens with the schema, a moment before the catalogue is there: orders would be refused for products that are not sold.
fn watch_catalogue(runtime: &Runtime, loaded: &CatalogueLoaded) {
    let loaded = loaded.clone();
    runtime.readiness().add("catalogue", move || {
        let outcome =
            loaded.is_true().then_some(()).ok_or_else(|| "it is not in the database yet".to_owned());
        Box::pin(std::future::ready(outcome))
    });
}

/// Kafka can wait: orders are taken without it, and their events are published when it is back.
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
                // Its answers are known; it is not asked again.
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
