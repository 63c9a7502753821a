//! Committed files that tests compare with the code: generated ones, and the SQL statements of the previous release.
//!
//! A cluster migrates the schema before it replaces a service, so the previous release runs on the new schema for a while. A file has its
//! statements; it is written when a release is made, and at no other time.

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

/// Set by the commands that generate files: these are written and not compared.
const WRITE: &str = "MUSTER_WRITE_COMMITTED";

/// Compares a generated file of this repository, by its path from the root, with its expected text; `command` writes it instead.
///
/// # Panics
/// The file has another text, or does not exist.
pub fn assert_committed(path: &str, expected: &str, command: &str) {
    let file = in_repository(path);
    if env::var_os(WRITE).is_some() {
        fs::write(&file, expected).unwrap_or_else(|error| panic!("cannot write {path}: {error}"));
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let differs =
        committed.lines().zip(expected.lines()).position(|(committed, expected)| committed != expected);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(expected.lines().count())) + 1;
    assert!(
        committed == expected,
        "{path} differs from the generated text from line {line} on: run `{command}`"
    );
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Set by `make release-schemas`: the directory whose sources are the release.
const RELEASE: &str = "MUSTER_RELEASE_SOURCES";

/// Text types, which are interchangeable for a client.
const TEXTS: [&str; 4] = ["text", "varchar", "bpchar", "name"];

const COLUMNS: &str = "\
SELECT table_name::text, column_name::text,
    is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS'
FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '%\\_migrations'";

/// The tables and statements of a release.
#[derive(Serialize, Deserialize)]
struct Released {
    /// Columns of each table.
    tables: BTreeMap<String, BTreeSet<String>>,
    statements: Vec<Use>,
}

/// A statement with the types of its parameters and columns.
#[derive(Serialize, Deserialize)]
struct Use {
    sql: String,
    parameters: Vec<String>,
    /// Name and type.
    columns: Vec<(String, String)>,
}

/// Migrates an empty database with the service, and checks that the previous release can use it.
///
/// Each statement can be prepared and has the same types, and no table has a new column that an INSERT must set.
/// `file` and `sources` are paths in the repository. With `MUSTER_RELEASE_SOURCES` it writes the file instead, from the statements in
/// `sources`.
///
/// # Panics
/// The previous release cannot use this schema.
pub async fn assert_previous_release_runs(service: &str, file: &str, sources: &[&str]) {
    let database = Database::create("released").await;
    let mut job = Command::new(service);
    job.arg("migrate").env_clear().env("OTEL_TRACES_EXPORTER", "none").env("DATABASE_URL", database.url());
    let migrated = job.output().expect("the service can be started");
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stdout));
    let client = database.connect().await;
    let file = in_repository(file);
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
            // Some tables of a library do not exist in every service.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
            Err(error) => panic!("{error:?} in\n{sql}"),
        }
    }
    assert!(!statements.is_empty(), "the sources have no SQL");
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
    /// New columns that an INSERT cannot omit.
    async fn missing_values(&self, client: &Client) -> Vec<String> {
        let is_new =
            |table: &str, column: &str| self.tables.get(table).is_some_and(|known| !known.contains(column));
        let columns = columns(client).await.into_iter();
        columns
            .filter(|(table, column, may_be_left_out)| is_new(table, column) && !may_be_left_out)
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

    /// The differences that break this statement.
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
