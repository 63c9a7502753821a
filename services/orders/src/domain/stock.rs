//! Whether an order's pieces are there.

use std::collections::BTreeMap;

use super::{Line, Sku};

/// Pieces that can be promised, by stock keeping unit.
pub(crate) type Availability = BTreeMap<Sku, i64>;

/// Returns the lines for which too little is there; none means that the order can be fulfilled.
pub(crate) fn shortages<'a>(lines: &'a [Line], available: &Availability) -> Vec<&'a Line> {
    let short =
        |line: &&Line| available.get(&line.sku).copied().unwrap_or_default() < i64::from(line.quantity);
    lines.iter().filter(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_when_it_wants_more_than_there_is() {
        let line = |sku: &str, quantity| Line {
            sku: Sku::parse(sku).unwrap(),
            name: sku.to_owned(),
            quantity,
            unit_price: money::Money::new(1, "EUR".parse().unwrap()),
        };
        let available = Availability::from([(Sku::parse("A").unwrap(), 2)]);
        assert!(shortages(&[line("A", 2)], &available).is_empty());
        assert_eq!(shortages(&[line("A", 3), line("B", 1)], &available).len(), 2);
    }
}
