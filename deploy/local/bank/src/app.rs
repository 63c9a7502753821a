//! Composition root: builds the parts of the bank and connects them.

use std::sync::Arc;

use actix_web::web::Data;
use http_api::Admission;
use service::Runtime;

use crate::{book::Book, config::Config, metrics, routes, settlement, state::State, webhooks::Webhooks};

/// Builds the bank.
pub(crate) async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    config.check_misbehaviour()?;
    let admission = Admission::new(&config.admission);
    let key = config.key()?;
    let webhooks = Webhooks::new(config.webhook_keys()?, config.webhook_budget(), runtime.trust())?;
    let book = Arc::new(Book::open(&config.bank_journal)?);

    metrics::show();
    runtime.readiness().add_ping("journal", Arc::clone(&book), |book| async move { book.synced().await });
    runtime.spawn_worker("settlement", {
        let book = Arc::clone(&book);
        |stop| async move { settlement::run(&book, stop).await }
    });
    runtime.spawn_worker("webhooks", {
        let book = Arc::clone(&book);
        |stop| async move { webhooks.run(&book, stop).await }
    });
    let state = Data::new(State { book, switch: config.switch(), key });
    runtime.serve_http(move |services| {
        services
            .app_data(state.clone())
            .app_data(admission.clone())
            .configure(|services| routes::api().register(services));
    })
}
