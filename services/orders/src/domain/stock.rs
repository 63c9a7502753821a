//! Reservation of stock for orders.

use std::collections::{BTreeMap, BTreeSet};

use super::{Details, Line, Sku};

/// A product of a tenant.
pub(crate) type Product = (String, Sku);

/// Stock from which a group of orders is served, one order after the other. The caller holds the locks of its rows.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    /// Pieces that are not reserved.
    pub(crate) available: BTreeMap<Product, i64>,
    /// Products whose rows another transaction has locked.
    pub(crate) locked: BTreeSet<Product>,
}

/// Result of the reservation for one order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reservation<'a> {
    /// All pieces are reserved for the order.
    Reserved,
    /// The stock is too low for these lines. Nothing is reserved.
    Short(Vec<&'a Line>),
    /// Another transaction has locked stock of the order. Nothing is reserved.
    Locked,
}

impl Stock {
    /// Reserves the pieces of an order, all or none.
    pub(crate) fn reserve<'a>(&mut self, order: &'a Details) -> Reservation<'a> {
        let product = |line: &Line| (order.tenant.clone(), line.sku.clone());
        if order.lines.iter().any(|line| self.locked.contains(&product(line))) {
            return Reservation::Locked;
        }
        let available = |line: &Line| self.available.get(&product(line)).copied().unwrap_or_default();
        let is_short = |line: &&Line| available(line) < i64::from(line.quantity);
        let short: Vec<_> = order.lines.iter().filter(is_short).collect();
        if !short.is_empty() {
            return Reservation::Short(short);
        }
        for line in &order.lines {
            *self.available.entry(product(line)).or_default() -= i64::from(line.quantity);
        }
        Reservation::Reserved
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
            locked: BTreeSet::from([("acme".to_owned(), sku("H"))]),
        }
    }

    #[test]
    fn orders_of_a_group_share_the_stock_in_turn() {
        let mut stock = stock();
        let two = order("acme", &[("A", 2)]);
        assert_eq!(stock.reserve(&two), Reservation::Reserved);
        assert_eq!(stock.reserve(&two), Reservation::Short(vec![&two.lines[0]]));
        assert_eq!(stock.reserve(&order("acme", &[("A", 1)])), Reservation::Reserved);
        assert_eq!(
            stock.reserve(&order("globex", &[("A", 9)])),
            Reservation::Reserved,
            "another tenant's product"
        );
    }

    #[test]
    fn an_order_that_is_short_of_one_product_reserves_nothing() {
        let mut stock = stock();
        let both = order("acme", &[("A", 1), ("B", 1)]);
        assert_eq!(stock.reserve(&both), Reservation::Short(vec![&both.lines[1]]));
        assert_eq!(stock.reserve(&order("acme", &[("A", 3)])), Reservation::Reserved);
    }

    #[test]
    fn an_order_with_a_locked_product_is_neither_reserved_nor_rejected() {
        let mut stock = stock();
        assert_eq!(stock.reserve(&order("acme", &[("B", 1), ("H", 1)])), Reservation::Locked);
        assert!(
            matches!(stock.reserve(&order("globex", &[("H", 1)])), Reservation::Short(_)),
            "another tenant's product"
        );
    }
}
