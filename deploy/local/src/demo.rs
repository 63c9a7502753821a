//! The demonstrations: `muster demo` uses the product as a client does, and checks each step.

mod load;
mod product;
mod render;
mod walkthrough;

pub(crate) use load::{Load, load};
pub(crate) use product::Product;
pub(crate) use walkthrough::walkthrough;

/// Returns an address that never received a mail.
fn new_address(name: &str) -> String {
    format!("{name}-{:08x}@example.com", rand::random::<u32>())
}
