//! The comparison of balances, holds and states with postings and transfers.

use pg::{Columns as _, Error, Pool};
use uuid::Uuid;

/// A difference between two records of the same fact.
#[derive(Debug)]
pub(crate) struct Break {
    /// What differs: see the README.
    pub(crate) kind: String,
    /// The account or the transfer.
    pub(crate) id: Uuid,
    /// The value that follows from postings and transfers, in minor units or as a number of rows.
    pub(crate) expected: i64,
    pub(crate) found: i64,
}

/// One statement, and so one snapshot: the check can run beside the service. The kinds are those of the README.
const FIND: &str = "\
WITH entries AS (
    SELECT account_id, sum(amount)::bigint AS posted FROM postings GROUP BY account_id),
holds AS (
    SELECT source, sum(amount)::bigint AS held FROM transfers WHERE state = 'pending' GROUP BY source),
arrivals AS (
    SELECT destination, sum(amount)::bigint AS incoming FROM transfers JOIN settlements ON transfer_id = id
    WHERE state = 'pending' AND instructed_at IS NOT NULL GROUP BY destination),
totals AS (
    SELECT transfer_id, currency, sum(amount)::bigint AS total FROM postings GROUP BY transfer_id, currency),
moved AS (
    SELECT t.id, CASE WHEN t.state IN ('succeeded', 'reversed') THEN 2 ELSE 0 END::bigint AS expected,
        count(p.id) FILTER (WHERE (p.account_id, p.amount) IN ((t.source, -t.amount), (t.destination, t.amount))) AS found,
        count(p.id) AS postings
    FROM transfers AS t LEFT JOIN postings AS p ON p.transfer_id = t.id GROUP BY t.id),
reversals AS (
    SELECT t.id, CASE WHEN t.state = 'reversed' THEN 1 ELSE 0 END::bigint AS expected,
        (SELECT count(*) FROM transfers AS r WHERE r.reverses = t.id AND r.state = 'succeeded') AS found
    FROM transfers AS t)
SELECT 'balance' AS kind, id, coalesce(entries.posted, 0) AS expected, accounts.posted AS found
FROM accounts LEFT JOIN entries ON account_id = id WHERE accounts.posted <> coalesce(entries.posted, 0)
UNION ALL
SELECT 'hold', id, coalesce(holds.held, 0), accounts.held
FROM accounts LEFT JOIN holds ON source = id WHERE accounts.held <> coalesce(holds.held, 0)
UNION ALL
SELECT 'incoming', id, coalesce(arrivals.incoming, 0), accounts.incoming
FROM accounts LEFT JOIN arrivals ON destination = id WHERE accounts.incoming <> coalesce(arrivals.incoming, 0)
UNION ALL
SELECT 'unbalanced', transfer_id, 0, total FROM totals WHERE total <> 0
UNION ALL
SELECT 'postings', id, expected, CASE WHEN postings = expected THEN found ELSE postings END
FROM moved WHERE found <> expected OR postings <> expected
UNION ALL
SELECT 'reversal', id, expected, found FROM reversals WHERE found <> expected
UNION ALL
SELECT 'settlement', t.id, CASE WHEN t.state = 'pending' THEN 1 ELSE 0 END, count(s.transfer_id)
FROM transfers AS t LEFT JOIN settlements AS s ON s.transfer_id = t.id
GROUP BY t.id HAVING (t.state = 'pending') <> (count(s.transfer_id) = 1)
ORDER BY kind, id";

/// Returns all breaks. The statement reads all rows.
pub(crate) async fn find_breaks(pool: &Pool) -> Result<Vec<Break>, Error> {
    let rows =
        pg::run_tx(pool, "check", &(), |tx, ()| Box::pin(async move { tx.query(FIND, &[]).await })).await?;
    let found = rows.iter().map(|row| {
        Ok(Break {
            kind: row.column("kind")?,
            id: row.column("id")?,
            expected: row.column("expected")?,
            found: row.column("found")?,
        })
    });
    found.collect()
}
