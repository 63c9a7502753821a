//! Decides by the behaviour of the system whether a fix holds.
//!
//! In order: every objective is met again and nothing waits (`steady`); the trigger is replayed (`replay`); the drill's own check
//! (`state`); no definition of the schema is lost (`schema`); the services are restarted (`restart`). Each failure has the name of its check.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{definition::Drill, journal::Journal, monitor::Monitor, script};
use crate::{
    cluster::{Cluster, workloads},
    config::StackConfig,
    endpoints::PostgresEndpoint,
    parts::postgres,
    place::Place,
    state::{PartRecord, Record},
};

/// How often the objectives are read.
const POLL: Duration = Duration::from_secs(1);

/// Consecutive good readings that make the system steady; each covers 30 seconds. Longer than the 11 s that a restarted service without
/// measurements takes to page again.
const GOOD_READINGS: u32 = 15;

/// Limit of a session with PostgreSQL.
const CONNECT: Duration = Duration::from_secs(5);

const DATABASES: [&str; 3] = ["orders", "url_shortener", "email_consumer"];

/// Tables whose rows are never deleted.
const DURABLE: [(&str, &str); 6] = [
    ("orders", "SELECT count(*) FROM orders"),
    ("orders", "SELECT count(*) FROM order_lines"),
    ("orders", "SELECT count(*) FROM order_history"),
    ("orders", "SELECT count(*) FROM products"),
    ("url_shortener", "SELECT count(*) FROM links"),
    ("email_consumer", "SELECT count(*) FROM mails"),
];

/// Definitions of indexes, constraints, triggers and columns, without names of indexes, which a repair may change.
const SCHEMA: &str = "
    SELECT 'index on ' || tablename || ' ' || substring(indexdef FROM ' USING .*') FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint on ' || conrelid::regclass::text || ' ' || pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
    UNION ALL SELECT 'trigger on ' || tgrelid::regclass::text || ' ' || tgname || ' ' || tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'column ' || attrelid::regclass::text || '.' || attname || ' ' || format_type(atttypid, atttypmod)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped";

/// What a claim failed on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) check: &'static str,
    pub(crate) reason: String,
}

/// What runs of each part: the process on this machine, the containers in a cluster.
type Instances = BTreeMap<String, BTreeSet<String>>;

/// The state before the fault, to compare with.
#[derive(Debug)]
pub(crate) struct Snapshot {
    instances: Instances,
    rows: Vec<i64>,
    schema: BTreeMap<String, Vec<String>>,
}

/// What changed on the way from the fault to the fix.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Damage {
    /// Parts of which nothing runs any more that ran before.
    pub(crate) restarted: Vec<String>,
    /// Tables that have fewer rows than before, with the number of missing rows.
    pub(crate) lost_rows: BTreeMap<String, i64>,
}

/// What the checks need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System<'a> {
    pub(crate) drill: &'a Drill,
    pub(crate) draws: &'a BTreeMap<String, String>,
    pub(crate) config: &'a StackConfig,
    pub(crate) journal: &'a Journal,
    pub(crate) monitor: &'a Monitor,
    /// Limit, in seconds, for each wait until the objectives are met.
    pub(crate) steady_within: u64,
}

impl System<'_> {
    /// Runs every check. The error is a failure of this program, not of the fix.
    pub(crate) async fn verify(&self, before: &Snapshot) -> anyhow::Result<Result<(), Failure>> {
        if let Err(failure) = self.steady("steady").await? {
            return Ok(Err(failure));
        }
        if let Some(replay) = self.drill.script("replay") {
            if let Err(error) = script::run(&replay, self.draws, self.config, self.journal).await {
                return Ok(Err(Failure { check: "replay", reason: format!("{error:#}") }));
            }
            if let Err(failure) = self.steady("replay").await? {
                return Ok(Err(failure));
            }
        }
        if let Err(failure) = self.state(before).await? {
            return Ok(Err(failure));
        }
        for service in &self.drill.file.recovery.restart {
            self.config
                .command("restart")?
                .arg(service)
                .run()
                .await
                .with_context(|| format!("{service} did not restart"))?;
        }
        if let Err(failure) = self.steady("restart").await? {
            return Ok(Err(failure));
        }
        Ok(self.state(before).await?.map_err(|failure| Failure { check: "restart", ..failure }))
    }

    /// Waits until the monitoring has no complaint for a while.
    pub(crate) async fn steady(&self, check: &'static str) -> anyhow::Result<Result<(), Failure>> {
        let deadline = Instant::now() + Duration::from_secs(self.steady_within);
        let mut n_good = 0;
        loop {
            // Prometheus itself may be the part that was restarted.
            let complaint = match self.monitor.complaint().await {
                Ok(complaint) => complaint,
                Err(error) => Some(format!("{error:#}")),
            };
            n_good = if complaint.is_none() { n_good + 1 } else { 0 };
            if n_good == GOOD_READINGS {
                return Ok(Ok(()));
            }
            if let Some(reason) = complaint
                && Instant::now() > deadline
            {
                return Ok(Err(Failure { check, reason }));
            }
            sleep(POLL).await;
        }
    }

    async fn state(&self, before: &Snapshot) -> anyhow::Result<Result<(), Failure>> {
        if let Some(check) = self.drill.script("check")
            && let Err(error) = script::run(&check, self.draws, self.config, self.journal).await
        {
            return Ok(Err(Failure { check: "state", reason: format!("{error:#}") }));
        }
        let missing = before.missing_definitions(self.config).await?;
        Ok(match missing.first() {
            Some(definition) => Err(Failure { check: "schema", reason: format!("missing: {definition}") }),
            None => Ok(()),
        })
    }
}

impl Snapshot {
    pub(crate) async fn take(config: &StackConfig) -> anyhow::Result<Self> {
        let instances = instances(config).await?;
        Ok(Self { instances, rows: rows(config).await?, schema: schema(config).await? })
    }

    async fn missing_definitions(&self, config: &StackConfig) -> anyhow::Result<Vec<String>> {
        let now = schema(config).await?;
        let missing = self.schema.iter().flat_map(|(database, definitions)| {
            let present = now.get(database);
            definitions
                .iter()
                .filter(move |definition| !present.is_some_and(|present| present.contains(definition)))
        });
        Ok(missing.cloned().collect())
    }

    /// The parts of which nothing runs any more that ran before.
    pub(crate) async fn restarted(&self, config: &StackConfig) -> anyhow::Result<Vec<String>> {
        Ok(replaced(&self.instances, &instances(config).await?))
    }

    pub(crate) async fn damage(
        &self,
        config: &StackConfig,
        restarted: Vec<String>,
    ) -> anyhow::Result<Damage> {
        let rows = rows(config).await?;
        let lost = DURABLE.iter().zip(self.rows.iter().zip(rows)).filter(|(_, (before, now))| now < before);
        Ok(Damage {
            restarted,
            lost_rows: lost
                .map(|((_, query), (before, now))| (query.replace("SELECT count(*) FROM ", ""), before - now))
                .collect(),
        })
    }
}

async fn instances(config: &StackConfig) -> anyhow::Result<Instances> {
    let parts = Record::read(&config.state_dir)?.parts;
    let pid = |(name, part): (String, PartRecord)| (name, BTreeSet::from([part.identity.pid.to_string()]));
    let mut instances: Instances = parts.into_iter().map(pid).collect();
    if config.place == Place::Cluster {
        instances.extend(workloads::containers(&Cluster::of(config)).await?);
    }
    Ok(instances)
}

/// An autoscaler starts and ends single pods: a part was restarted when none is left of those before.
fn replaced(before: &Instances, now: &Instances) -> Vec<String> {
    let none_is_left =
        |part: &str, before: &BTreeSet<String>| now.get(part).is_none_or(|now| now.is_disjoint(before));
    before.iter().filter(|(part, before)| none_is_left(part, before)).map(|(part, _)| part.clone()).collect()
}

async fn rows(config: &StackConfig) -> anyhow::Result<Vec<i64>> {
    let mut rows = Vec::new();
    for (database, query) in DURABLE {
        let client = postgres::connect(PostgresEndpoint::of(config)?.config(database), CONNECT).await?;
        let row = client.query_one(query, &[]).await.context("rows cannot be counted")?;
        rows.push(row.try_get(0).context("a count")?);
    }
    Ok(rows)
}

async fn schema(config: &StackConfig) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut schema = BTreeMap::new();
    for database in DATABASES {
        let client = postgres::connect(PostgresEndpoint::of(config)?.config(database), CONNECT).await?;
        let rows = client.query(SCHEMA, &[]).await.context("the schema cannot be read")?;
        let definitions: Result<_, _> = rows.iter().map(|row| row.try_get(0)).collect();
        schema.insert(database.to_owned(), definitions.context("a definition")?);
    }
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_was_restarted_when_nothing_is_left_of_it() {
        let instances = |parts: &[(&str, &[&str])]| -> Instances {
            let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
            parts.iter().map(|(part, of_part)| ((*part).to_owned(), ids(of_part))).collect()
        };
        let before = instances(&[("orders", &["a", "b"]), ("kafka", &["c"]), ("pager", &["17"])]);
        let now = instances(&[("orders", &["b", "d"]), ("kafka", &["e"]), ("batch", &["f"])]);
        assert_eq!(replaced(&before, &now), ["kafka", "pager"]);
    }
}
