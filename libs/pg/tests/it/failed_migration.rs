//! A migration that fails ends the wait for it.

use std::time::Duration;

use pg::{Error, Migration};
use testkit::Database;
use tokio::time::timeout;

use super::{AWAIT, connect, connect_with, migrated};

const BROKEN: (&str, &str) = ("V2__add_owners", "ALTER TABLE counters ADD COLUMN owner no_such_type");
const MENDED: (&str, &str) = ("V2__add_owners", "ALTER TABLE counters ADD COLUMN owner text");
const FIRST: Migration = super::MIGRATIONS[0];
const RELEASE: &[Migration] = &[FIRST, BROKEN];
const MENDED_RELEASE: &[Migration] = &[FIRST, MENDED];

async fn wait_for(database: &Database, migrations: &'static [Migration]) -> Result<(), Error> {
    let service = connect_with(&database.url(), AWAIT);
    let schemas = [("counters", migrations)];
    let waiting = pg::migrate(&service, &schemas);
    timeout(Duration::from_secs(20), waiting).await.unwrap()
}

#[tokio::test]
async fn a_service_stops_waiting_for_a_migration_that_failed_and_says_why() {
    let (_pool, database) = migrated().await;
    let url = database.url();
    let waiting = tokio::spawn(async move {
        let service = connect_with(&url, AWAIT);
        pg::migrate(&service, &[("counters", RELEASE)]).await
    });

    let failure = pg::migrate(&connect(&database.url()), &[("counters", RELEASE)]).await.unwrap_err();
    assert!(matches!(failure, Error::Migration(_)), "{failure:?}");

    let error = timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap_err();
    let Error::Migration(why) = &error else { panic!("{error:?}") };
    let why = why.to_string();
    assert!(why.contains("V2__add_owners") && why.contains("42704"), "{why}");

    // The release that mends it has nothing to do with that failure, and neither has the one before.
    wait_for(&database, &[FIRST]).await.unwrap();
    let mended = wait_for(&database, MENDED_RELEASE);
    let job = connect(&database.url());
    let (applied, waited) = tokio::join!(pg::migrate(&job, &[("counters", MENDED_RELEASE)]), mended);
    applied.unwrap();
    waited.unwrap();
}
