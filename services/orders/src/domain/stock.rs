//! Whether the pieces of an order are there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Details, Line, Sku};

/// A product of a tenant's.
pub(crate) type Product = (String, Sku);

/// Stock that a group of orders is served from, one after the other. Who makes it holds the rows.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    /// Pieces that can still be promised.
    pub(crate) available: BTreeMap<Product, i64>,
    /// Products whose stock somebody else is changing.
    pub(crate) held: BTreeSet<Product>,
}

/// What the stock says about an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// All pieces were there, and are the order's now.
    Taken,
    /// Of these lines there is too little. Nothing was taken.
    Short(Vec<&'a Line>),
    /// It cannot be said while somebody else changes the stock. Nothing was taken.
    Held,
}

impl Stock {
    /// Takes the pieces of an order, all or none.
    pub(crate) fn take<'a>(&mut self, order: &'a Details) -> Verdict<'a> {
        let product = |line: &Line| (order.tenant.clone(), line.sku.clone());
        if order.lines.iter().any(|line| self.held.contains(&product(line))) {
            return Verdict::Held;
        }
        let available = |line: &Line| self.available.get(&product(line)).copied().unwrap_or_default();
        let is_short = |line: &&Line| available(line) < i64::from(line.quantity);
        let short: Vec<_> = order.lines.iter().filter(is_short).collect();
        if !short.is_empty() {
            return Verdict::Short(short);
        }
        for line in &order.lines {
            *self.available.entry(product(line)).or_default() -= i64::from(line.quantity);
        }
        Verdict::Taken
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use uuid::Uuid;

    use super::*;

    fn sku(sku: &str) -> Sku {
        sku.parse().unwrap()
    }

    fn order(tenant: &str, lines: &[(&str, i32)]) -> Details {
        let line = |&(name, quantity): &(&str, i32)| Line {
            sku: sku(name),
            name: name.to_owned(),
            quantity,
            unit_price: money::Money::new(1, "EUR".parse().unwrap()),
        };
        Details {
            id: Uuid::now_v7(),
            tenant: tenant.to_owned(),
            customer_email: "a@b.example".parse().unwrap(),
            lines: lines.iter().map(line).collect(),
            total: money::Money::new(1, "EUR".parse().unwrap()),
            placed_at: Utc::now(),
        }
    }

    fn stock() -> Stock {
        Stock {
            available: BTreeMap::from([
                (("acme".to_owned(), sku("A")), 3),
                (("globex".to_owned(), sku("A")), 9),
            ]),
            held: BTreeSet::from([("acme".to_owned(), sku("H"))]),
        }
    }

    #[test]
    fn orders_of_a_group_are_served_from_what_those_before_left() {
        let mut stock = stock();
        let two = order("acme", &[("A", 2)]);
        assert_eq!(stock.take(&two), Verdict::Taken);
        assert_eq!(stock.take(&two), Verdict::Short(vec![&two.lines[0]]));
        assert_eq!(stock.take(&order("acme", &[("A", 1)])), Verdict::Taken);
        assert_eq!(stock.take(&order("globex", &[("A", 9)])), Verdict::Taken, "another tenant's product");
    }

    #[test]
    fn an_order_that_is_short_of_one_product_takes_nothing_of_the_others() {
        let mut stock = stock();
        let both = order("acme", &[("A", 1), ("B", 1)]);
        assert_eq!(stock.take(&both), Verdict::Short(vec![&both.lines[1]]));
        assert_eq!(stock.take(&order("acme", &[("A", 3)])), Verdict::Taken);
    }

    #[test]
    fn an_order_with_a_held_product_is_neither_served_nor_rejected() {
        let mut stock = stock();
        assert_eq!(stock.take(&order("acme", &[("B", 1), ("H", 1)])), Verdict::Held);
        assert!(
            matches!(stock.take(&order("globex", &[("H", 1)])), Verdict::Short(_)),
            "another tenant's product"
        );
    }
}
