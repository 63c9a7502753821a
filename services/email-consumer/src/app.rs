//! Composition root: builds the parts of the service and connects them.

use std::{sync::Arc, time::Duration};

use actix_web::web::Data;
use auth::Verifier;
use consumer::{Consumer, Settings, letters};
use events::{
    Decoder, Event as _, Registry,
    orders::{OrderConfirmed, OrderRejected},
};
use futures::FutureExt as _;
use http_api::Admission;
use pg::Pool;
use service::Runtime;
use telemetry::Readiness;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Config, DRAIN_TIMEOUT},
    handler::MailHandler,
    handover::Handovers,
    letters::{DeadLetters, OrderEvents},
    links::Links,
    metrics,
    promotions::PromotionHandler,
    routes,
    shedding::Shedding,
    smtp::Mailer,
    store,
};

/// Maximum time to prepare a mail: read the schema, put the link, and wait for a connection.
const PREPARE_TIME: Duration = Duration::from_mins(1);

/// Age at which an event is late: the objective in `deploy/monitoring/slo/email-consumer.yaml`.
const DUE_AFTER: Duration = Duration::from_mins(1);

const KAFKA_PING_TIMEOUT: Duration = Duration::from_millis(900);

/// Builds the service. It also starts while its dependencies are down; readiness names them.
pub(crate) async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    config.check()?;
    metrics::show();
    let pool = pg::connect(&config.database_of_orders(), runtime.trust(), env!("CARGO_PKG_NAME"))?;
    let registry = Registry::new(&config.registry, runtime.trust());
    let links = Links::new(config.links_url.clone(), config.signing_key()?, runtime.trust())?;
    let mailer = Arc::new(Mailer::new(
        config.smtp_server.clone(),
        config.email_from.clone(),
        config.smtp_timeouts.clone(),
        config.smtp_max_connections.get(),
        runtime.trust(),
    )?);
    let handovers = Handovers {
        pool: pool.clone(),
        mailer: Arc::clone(&mailer),
        lease: config.email_lease(),
        max_unknown: config.email_unknown_attempts.get().into(),
        refusals: Arc::default(),
        running: TaskTracker::new(),
    };
    let shedding = Arc::<Shedding>::default();
    let decoder = Decoder::new(registry.clone()).of_topic(&config.orders_events_topic);
    let handler = MailHandler {
        decoder: decoder.clone(),
        link_codes: config.email_link_code_key.clone(),
        links: links.clone(),
        mailer: Arc::clone(&mailer),
        handovers: handovers.clone(),
        shedding: Arc::clone(&shedding),
    };
    let kafka = config.kafka.kafka(runtime.trust())?;
    let consumer = Consumer::new(&kafka, pool.clone(), consumer_settings(&config), handler)?;
    let promotions_pool =
        pg::connect(&config.database_of_promotions(), runtime.trust(), env!("CARGO_PKG_NAME"))?;
    let promotion_handovers = Handovers {
        pool: promotions_pool.clone(),
        // A second attempt could be a second mail.
        max_unknown: 1,
        refusals: Arc::default(),
        ..handovers.clone()
    };
    let promotions = PromotionHandler::new(Decoder::new(registry.clone()), promotion_handovers, shedding);
    let promotions = Consumer::new(&kafka, promotions_pool.clone(), promotion_settings(&config), promotions)?;
    let letters = Data::new(DeadLetters::new(
        &kafka,
        letter_settings(&config),
        pool.clone(),
        OrderEvents(decoder.clone()),
    )?);
    serve_operators(runtime, &config, letters.clone())?;

    let readiness = runtime.readiness();
    watch_kafka(readiness, &consumer);
    readiness.add_ping("postgres", pool.clone(), |pool| async move { pool.ping().await });
    readiness.add_ping("schema-registry", registry, |registry| async move { registry.ping().await });
    readiness.add_ping("smtp", Arc::clone(&mailer), |mailer| async move { mailer.ping().await });
    readiness.add_ping("url-shortener", links, |links| async move { links.ping().await });

    let pools = [pool, promotions_pool];
    let closing = pools.clone();
    runtime.on_stop("database pools", async move { closing.iter().for_each(Pool::close) });
    runtime.on_stop("SMTP connections", async move { mailer.close().await });
    // Resources are released in reverse order, so this one ends before those that it uses.
    runtime.on_stop("mails being handed over", async move { handovers.finish().await });
    runtime.spawn_worker("schemas", |stop| verify_schemas(decoder, stop));
    let retention = config.email_dedup_retention;
    runtime.spawn_worker("mails", |stop| send_mails(consumer, promotions, letters, pools, retention, stop));
    Ok(())
}

fn consumer_settings(config: &Config) -> Settings {
    Settings {
        topic: config.orders_events_topic.clone(),
        group: config.email_group_id.clone(),
        retries: config.retries(),
        dead_letter_topic: Some(config.email_dead_letter_topic.clone()),
        // Longer than all timeouts of the handler together, so it cancels only a handler that hangs.
        handler_timeout: PREPARE_TIME + config.smtp_timeouts.total(),
        drain_timeout: DRAIN_TIMEOUT,
        due_after: DUE_AFTER,
    }
}

/// A promotion that fails is dropped, so there are neither retry topics nor dead letters.
fn promotion_settings(config: &Config) -> Settings {
    Settings {
        topic: config.orders_promotions_topic.clone(),
        group: format!("{}-promotions", config.email_group_id),
        retries: Vec::new(),
        dead_letter_topic: None,
        ..consumer_settings(config)
    }
}

/// Verifies the schemas of the events that need a mail, and then waits for `stop`. An error ends the service.
async fn verify_schemas(decoder: Decoder, stop: CancellationToken) -> anyhow::Result<()> {
    let types = [OrderConfirmed::event_type(), OrderRejected::event_type()];
    stop.run_until_cancelled(decoder.verify(&types)).await.transpose()?;
    stop.cancelled().await;
    Ok(())
}

fn letter_settings(config: &Config) -> letters::Settings {
    let first_retry = config.retries().into_iter().next();
    letters::Settings {
        dead_letter_topic: config.email_dead_letter_topic.clone(),
        replay_topic: first_retry.map_or_else(|| config.orders_events_topic.clone(), |retry| retry.topic),
        group: config.email_group_id.clone(),
    }
}

/// Serves the API of the dead letters.
fn serve_operators(runtime: &mut Runtime, config: &Config, letters: Data<DeadLetters>) -> anyhow::Result<()> {
    let verifier = Verifier::from_file(&config.auth.auth_jwks_file, config.service.environment)?;
    let admission = Admission::new(&config.admission);
    runtime.serve_http(move |services| {
        services
            .app_data(letters.clone())
            .app_data(verifier.clone())
            .app_data(admission.clone())
            .configure(|services| routes::api().register(services));
    })
}

/// Migrates the schema, then runs the consumers, watches the dead letters and purges old rows until `stop`.
async fn send_mails(
    consumer: Consumer<MailHandler>,
    promotions: Consumer<PromotionHandler>,
    letters: Data<DeadLetters>,
    pools: [Pool; 2],
    retention: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    for pool in &pools {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            migrated = pg::migrate(pool, store::SCHEMAS) => migrated?,
        }
    }
    let [pool, _promotions] = pools;
    let purge = async {
        tokio::join!(
            store::run_retention(pool.clone(), retention, stop.clone()),
            letters.watch(stop.clone()),
        );
        Ok(())
    };
    tokio::try_join!(consumer.run(stop.clone()), promotions.run(stop.clone()), purge)?;
    Ok(())
}

fn watch_kafka(readiness: &Readiness, consumer: &Consumer<MailHandler>) {
    let ping = consumer.ping();
    readiness.add("kafka", move || {
        let ping = ping.clone();
        async move {
            let answer = tokio::task::spawn_blocking(move || ping(KAFKA_PING_TIMEOUT)).await;
            answer.unwrap_or_else(|error| Err(error.to_string()))
        }
        .boxed()
    });
}
