//! The composition root: what the service is made of, and who knows whom.

use actix_web::web::Data;
use auth::Verifier;
use cursor::Cursors;
use idempotency::http::Retention;
use pg::Pool;
use service::Runtime;

use crate::{
    config::Config,
    domain::PublicUrl,
    metrics, routes, store,
    targets::{self, Targets},
};
use http_api::Admission;

/// What handlers need.
pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) public_url: PublicUrl,
    pub(crate) cursors: Cursors,
    pub(crate) retention: Retention,
}

/// Puts the service together. A database that is down does not keep it from starting: it says so, and waits.
pub(crate) async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    let public_url = config.public_url()?;
    let cursors = config.cursors()?;
    let retention = config.idempotency.retention()?;
    let verifier = Verifier::from_file(&config.auth.auth_jwks_file, config.service.environment)?;
    let admission = Admission::new(&config.admission);
    let pool = pg::connect(&config.database, runtime.trust(), "url-shortener")?;
    let targets = targets::remembered(config.cache(), pool.clone());

    metrics::show_requests();
    watch_database(runtime, pool.clone());
    keep_database(runtime, pool.clone());
    runtime.reached_over_tls(public_url.is_https());
    let state = Data::new(State { pool: pool.clone(), targets, public_url, cursors, retention });
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

fn watch_database(runtime: &Runtime, pool: Pool) {
    runtime.readiness().add("postgres", move || {
        let pool = pool.clone();
        Box::pin(async move { pool.ping().await.map_err(|error| error.to_string()) })
    });
}

/// Brings the schema up to date, until when the pool refuses requests as unavailable; then removes what has expired.
fn keep_database(runtime: &mut Runtime, pool: Pool) {
    runtime.spawn_worker("database", async move |stop| {
        if let Some(migrated) = stop.run_until_cancelled(pg::migrate(&pool, store::SCHEMAS)).await {
            migrated?;
        }
        idempotency::Table::IdempotencyKeys.run_retention(pool, stop).await;
        Ok(())
    });
}
