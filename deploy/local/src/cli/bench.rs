//! `muster bench`: starts a separate stack, runs the benchmarks of `loadtest` on it, and stops it.

use anyhow::{Context, ensure};
use loadtest::bench::{
    self, Args, BACKLOG_TOPIC, DEAD_LETTER_TOPIC, EVENTS_TOPIC, ORDERS_TOPIC, OUTBOX_TOPIC, PROMOTIONS_TOPIC,
    Postgres, RETRY_TOPIC,
};

use super::run::TemporaryStack;
use crate::{
    console::print,
    endpoints::PostgresEndpoint,
    parts::{
        kafka::{Topic, create_topics},
        postgres, services,
    },
    ports::authority,
    signals::Interrupts,
    stack::Stack,
    target::target,
};

/// As many partitions as the topics of the product have.
const TOPICS: &[Topic] = &[
    Topic { name: EVENTS_TOPIC, partitions: 6, retention_ms: "604800000" },
    Topic { name: OUTBOX_TOPIC, partitions: 6, retention_ms: "604800000" },
    Topic { name: BACKLOG_TOPIC, partitions: 6, retention_ms: "604800000" },
    Topic { name: ORDERS_TOPIC, partitions: 6, retention_ms: "604800000" },
    Topic { name: PROMOTIONS_TOPIC, partitions: 6, retention_ms: "604800000" },
    Topic { name: RETRY_TOPIC, partitions: 6, retention_ms: "604800000" },
    Topic { name: DEAD_LETTER_TOPIC, partitions: 1, retention_ms: "604800000" },
];

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(directory) = &args.baseline {
        let program = directory.join("email-consumer");
        ensure!(program.is_file(), "{}: the program does not exist", program.display());
    }
    let mut interrupts = Interrupts::listen()?;
    let temporary = TemporaryStack::reserve("bench", Stack::for_bench).await?.start(&mut interrupts).await?;
    let outcome = tokio::select! {
        outcome = measure(&temporary, &args) => outcome,
        _ = interrupts.next() => Err(anyhow::anyhow!("interrupted")),
    };
    temporary.stop().await?;
    outcome
}

async fn measure(temporary: &TemporaryStack, args: &Args) -> anyhow::Result<()> {
    let config = &temporary.stack.config;
    let record = temporary.state.record();
    let pid = |part: &str| {
        record.alive(part).map(|process| process.pid).with_context(|| format!("{part} does not run"))
    };
    create_topics(&authority(config.ports.kafka()), TOPICS).await?;
    let PostgresEndpoint { host, port, user, password } = PostgresEndpoint::of(config)?;
    let stack = bench::Stack {
        target: target(config)?,
        postgres: Postgres { programs: postgres::PROGRAMS.into(), host, port, user, password },
        orders: pid("orders")?,
        broker: pid("kafka")?,
        smtp: authority(config.ports.smtp()),
        start_email_consumer: &|name, program, env| {
            let launch = (services::EMAIL_CONSUMER.launch)(config)?.envs(env);
            let launch = match program {
                Some(program) => launch.program(program),
                None => launch,
            };
            launch.start_child(&config.log(&format!("email-consumer-{name}")))
        },
    };
    print(bench::bench(&stack, args).await?);
    Ok(())
}
