//! Composition root: builds the parts of the service and connects them.

use std::{sync::Arc, time::Duration};

use actix_web::web::Data;
use auth::Verifier;
use events::{Encoder, Registry, payments};
use http_api::Admission;
use outbox::Relay;
use pg::Pool;
use service::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    backlog, bank::Bank, config::Config, metrics, routes, settlement::Settlement, state::State, store,
};

/// Timeout of the broker in a readiness check; shorter than the timeout of the check itself.
const PING_TIMEOUT: Duration = Duration::from_millis(800);

/// Builds the service. It also starts while dependencies are down; readiness names them.
pub(crate) async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    let cursors = config.cursors()?;
    let retention = config.idempotency.retention()?;
    let webhook_keys = config.webhook_keys()?;
    let bank = Bank::new(config.bank(), runtime.trust())?;
    let verifier = Verifier::from_file(&config.auth.auth_jwks_file, config.service.environment)?;
    let admission = Admission::new(&config.admission);
    let pool = pg::connect(&config.database, runtime.trust(), "ledger")?;
    let registry = Registry::new(&config.registry, runtime.trust());
    let encoder = Encoder::new(&config.ledger_events_topic);
    let relay = Relay::new(pool.clone(), config.kafka.kafka(runtime.trust())?);
    let settlement = Settlement::new(pool.clone(), bank, encoder.clone(), relay.wake());
    let state = Data::new(State {
        pool: pool.clone(),
        cursors,
        retention,
        settlement: settlement.wake(),
        webhook_keys,
    });

    metrics::show();
    watch_dependencies(runtime, &pool, (registry.clone(), encoder.clone()), &relay);
    runtime.spawn_worker("schemas", move |stop| async move {
        let types = payments::event_types();
        stop.run_until_cancelled(encoder.register(&registry, &types)).await.transpose()?;
        stop.cancelled().await;
        Ok(())
    });
    let workers = DatabaseWorkers { pool: pool.clone(), relay, settlement };
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

/// Kafka is deferrable: the service settles transfers without it, and publishes their events when it is back.
fn watch_dependencies(runtime: &Runtime, pool: &Pool, schemas: (Registry, Encoder), relay: &Arc<Relay>) {
    let readiness = runtime.readiness();
    readiness.add_ping("postgres", pool.clone(), |pool| async move { pool.ping().await });
    readiness.add_ping("schema-registry", schemas, ping_registry);
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
    relay: Arc<Relay>,
    settlement: Settlement,
}

impl DatabaseWorkers {
    /// Migrates the schema, then runs the workers until `stop`. The pool refuses requests as unavailable until the schema is current.
    async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let migrated = stop.run_until_cancelled(pg::migrate(&self.pool, store::SCHEMAS)).await;
        let Some(migrated) = migrated else { return Ok(()) };
        migrated?;
        tokio::join!(
            self.relay.run(stop.clone()),
            self.settlement.run(stop.clone()),
            backlog::watch(self.pool.clone(), stop.clone()),
            idempotency::Table::IdempotencyKeys.run_retention(self.pool, stop),
        );
        Ok(())
    }
}
