//! Composition root: builds the parts of the service and connects them.

use actix_web::web::Data;
use auth::Verifier;
use pg::Pool;
use service::Runtime;

use crate::{
    config::Config,
    metrics, routes,
    state::{State, cached_targets},
    store,
};
use http_api::Admission;

/// Builds the service. It also starts while the database is down; readiness names it.
pub(crate) async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    let public_url = config.public_url()?;
    let cursors = config.cursors()?;
    let retention = config.idempotency.retention()?;
    let verifier = Verifier::from_file(&config.auth.auth_jwks_file, config.service.environment)?;
    let admission = Admission::new(&config.admission);
    let pool = pg::connect(&config.database, runtime.trust(), "url-shortener")?;
    let targets = cached_targets(config.cache(), pool.clone());

    metrics::show_requests();
    runtime.readiness().add_ping("postgres", pool.clone(), |pool| async move { pool.ping().await });
    keep_database(runtime, pool.clone());
    runtime.reached_over_tls(public_url.is_https());
    let state = Data::new(State { pool: pool.clone(), targets, public_url, cursors, retention });
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

/// Migrates the schema, then runs retention. The pool refuses requests as unavailable until the schema is current.
fn keep_database(runtime: &mut Runtime, pool: Pool) {
    runtime.spawn_worker("database", async move |stop| {
        if let Some(migrated) = stop.run_until_cancelled(pg::migrate(&pool, store::SCHEMAS)).await {
            migrated?;
        }
        idempotency::Table::IdempotencyKeys.run_retention(pool, stop).await;
        Ok(())
    });
}
