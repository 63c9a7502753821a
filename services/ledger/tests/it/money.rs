//! The currencies of accounts.

use std::collections::BTreeSet;

use money::Currency;

use crate::app::App;

#[tokio::test]
async fn the_database_accepts_exactly_the_currencies_of_the_code() {
    let app = App::start().await;
    let rows = app.database.connect().await.query("SELECT code FROM currencies", &[]).await.unwrap();
    let stored: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    let known = codes.map(String::from_iter).filter(|code| code.parse::<Currency>().is_ok());
    assert_eq!(stored, known.collect(), "a new release of the list needs a migration");
}
