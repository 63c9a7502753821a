//! What the previous release asks of the schema, tried on the schema of this one.
//!
//! A cluster migrates before it replaces a service, so for a while the previous release runs on the new schema. Its
//! statements are kept in a file, which is written when a release is made and never between.

mod sources;

pub use sources::statements;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Column, Row, Statement, error::SqlState};

use crate::Database;

/// Set by `make release-schemas`: the directory whose sources are the release.
const RELEASE: &str = "MUSTER_RELEASE_SOURCES";

/// Kinds of text: what one of them takes and gives, the others do, too.
const TEXTS: [&str; 4] = ["text", "varchar", "bpchar", "name"];

const COLUMNS: &str = "\
SELECT table_name::text, column_name::text,
    is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS'
FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '%\\_migrations'";

/// A service's use of its database, as a release has it.
#[derive(Serialize, Deserialize)]
struct Released {
    /// Columns of each table.
    tables: BTreeMap<String, BTreeSet<String>>,
    statements: Vec<Use>,
}

/// A statement, and the types that the release exchanges with it.
#[derive(Serialize, Deserialize)]
struct Use {
    sql: String,
    parameters: Vec<String>,
    /// Name and type.
    columns: Vec<(String, String)>,
}

/// Migrates an empty database with the service's own job, and checks that the previous release can use it.
///
/// Each of its statements can be prepared and exchanges the same types, and no table has got a column that its rows would lack.
/// `file` and `sources` are paths in the repository. With `MUSTER_RELEASE_SOURCES` the file is written instead, from the
/// statements in `sources`.
///
/// # Panics
/// The previous release could not run beside this schema.
pub async fn assert_previous_release_runs(service: &str, file: &str, sources: &[&str]) {
    let database = Database::create("released").await;
    let mut job = Command::new(service);
    job.arg("migrate").env_clear().env("OTEL_TRACES_EXPORTER", "none").env("DATABASE_URL", database.url());
    let migrated = job.output().expect("the service can be started");
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stdout));
    let client = database.connect().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    if let Some(root) = env::var_os(RELEASE) {
        let released = record(&client, sources.iter().map(|source| PathBuf::from(&root).join(source))).await;
        let text = serde_json::to_string_pretty(&released).expect("strings and lists of them serialise");
        fs::write(&file, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        return;
    }
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let released: Released =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut faults = Vec::new();
    for used in &released.statements {
        faults.extend(used.faults(&client).await);
    }
    faults.extend(released.missing_values(&client).await);
    assert!(faults.is_empty(), "the previous release cannot use this schema:\n{}", faults.join("\n"));
}

async fn record(client: &Client, sources: impl Iterator<Item = PathBuf>) -> Released {
    let texts: BTreeSet<String> = sources.flat_map(|source| statements(&source)).collect();
    let mut statements = Vec::new();
    for sql in texts {
        match client.prepare(&sql).await {
            Ok(statement) => statements.push(Use::of(sql, &statement)),
            // A library has statements for tables that not every service has.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
            Err(error) => panic!("{error:?} in\n{sql}"),
        }
    }
    assert!(!statements.is_empty(), "there is no SQL in the sources");
    let mut tables = BTreeMap::<_, BTreeSet<_>>::new();
    for (table, column, _) in columns(client).await {
        tables.entry(table).or_default().insert(column);
    }
    Released { tables, statements }
}

/// Table, column, and whether an INSERT may leave it out.
async fn columns(client: &Client) -> Vec<(String, String, bool)> {
    let rows = client.query(COLUMNS, &[]).await.expect("the catalogue can be read");
    let column =
        |row: &Row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    rows.iter().map(column).collect::<Result<_, _>>().expect("the columns have these types")
}

impl Released {
    /// Columns that are new, and that an INSERT which does not know them cannot leave out.
    async fn missing_values(&self, client: &Client) -> Vec<String> {
        let is_new =
            |table: &str, column: &str| self.tables.get(table).is_some_and(|known| !known.contains(column));
        let new = columns(client).await.into_iter().filter(|(table, column, _)| is_new(table, column));
        let required = new.filter(|(_, _, may_be_left_out)| !may_be_left_out);
        required
            .map(|(table, column, _)| format!("{table}.{column} is new, and has neither NULL nor a default"))
            .collect()
    }
}

impl Use {
    fn of(sql: String, statement: &Statement) -> Self {
        let parameters = statement.params().iter().map(|kind| kind.name().to_owned()).collect();
        let column = |column: &Column| (column.name().to_owned(), column.type_().name().to_owned());
        Self { sql, parameters, columns: statement.columns().iter().map(column).collect() }
    }

    /// What of this use is not possible any more.
    async fn faults(&self, client: &Client) -> Vec<String> {
        let sql = &self.sql;
        let now = match client.prepare(sql).await {
            Ok(statement) => Self::of(sql.clone(), &statement),
            Err(error) => {
                let why = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
                return vec![format!("{why} in\n{sql}")];
            }
        };
        let parameters = self.parameters.iter().zip(&now.parameters).enumerate();
        let parameters = parameters
            .filter(|(_, (before, now))| !is_same(before, now))
            .map(|(index, (before, now))| format!("${} was {before} and is {now} in\n{sql}", index + 1));
        let columns = self.columns.iter().filter_map(|(name, before)| {
            let kind = now.columns.iter().find_map(|(column, kind)| (column == name).then_some(kind));
            match kind {
                Some(kind) if is_same(before, kind) => None,
                kind => {
                    let now = kind.map_or("gone", String::as_str);
                    Some(format!("{name} was {before} and is {now} in\n{sql}"))
                }
            }
        });
        parameters.chain(columns).collect()
    }
}

fn is_same(before: &str, now: &str) -> bool {
    before == now || (TEXTS.contains(&before) && TEXTS.contains(&now))
}
