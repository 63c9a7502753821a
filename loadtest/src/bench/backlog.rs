//! Resident memory of email-consumer while events wait: the same for any number of them.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, ensure};
use events::orders::event_types;
use procfs::process::Process;
use tokio::{process::Child, time::sleep};

use super::{Stack, mails::publish, publisher::Publisher};
use crate::run::log;

/// The topic of the waiting events, apart from that of the mails, which are counted.
pub const BACKLOG_TOPIC: &str = "bench.backlog";

/// Numbers of waiting events, each measured with a consumer of its own.
const WAITING: [u32; 4] = [0, 10_000, 100_000, 1_000_000];

/// Time from the start of the consumer to the measurement: it has received all that it holds long before.
const SETTLED: Duration = Duration::from_secs(20);

/// A port without a listener: no mail can be sent, so all events wait.
const NO_SMTP_SERVER: &str = "1";

/// Measures, and returns the figures as lines of a table.
pub(super) async fn measure(stack: &Stack<'_>) -> anyhow::Result<String> {
    let events = stack.target.events.as_ref().context("the target names no events")?;
    let publisher = Publisher::new(events, BACKLOG_TOPIC, &event_types()).await?;
    let mut table = format!("{:>14}  {:>12}  {:>12}\n", "events waiting", "RSS, MiB", "at most");
    let mut n_published = 0;
    for waiting in WAITING {
        publish(&publisher, waiting - n_published).await?;
        n_published = waiting;
        log(format_args!("email-consumer with {waiting} events that wait"));
        let mut consumer = start(stack, waiting).await?;
        sleep(SETTLED).await;
        let memory = memory(&mut consumer);
        consumer.kill().await.context("the end of email-consumer")?;
        let (resident, most) = memory?;
        writeln!(table, "{waiting:>14}  {resident:>12}  {most:>12}")?;
    }
    Ok(table)
}

async fn start(stack: &Stack<'_>, waiting: u32) -> anyhow::Result<Child> {
    let name = format!("backlog_{waiting}");
    let mut env = stack.consumer_env(&name, BACKLOG_TOPIC).await?;
    env.push(("SMTP_PORT", NO_SMTP_SERVER.to_owned()));
    (stack.start_email_consumer)(&name, None, env)
}

/// Resident memory now and at most, in MiB.
fn memory(consumer: &mut Child) -> anyhow::Result<(u64, u64)> {
    ensure!(consumer.try_wait()?.is_none(), "email-consumer has ended; its log has the reason");
    let pid = consumer.id().context("email-consumer has ended")?;
    let status = Process::new(i32::try_from(pid)?).and_then(|process| process.status())?;
    let mib = |kib: Option<u64>| kib.map(|kib| kib.div_ceil(1024)).context("/proc names no resident memory");
    Ok((mib(status.vmrss)?, mib(status.vmhwm)?))
}
