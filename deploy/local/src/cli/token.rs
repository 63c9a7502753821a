//! `muster token`: prints a bearer token, signed with the development key.

use std::time::Duration;

use anyhow::Context;
use auth::{Tenant, TokenRequest};

use crate::{checkout::Checkout, config::secrets, console::print, place::Place};

/// The claims of the token.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tenant.
    #[arg(long)]
    tenant: Tenant,
    /// A scope, such as `orders:write`; repeatable.
    #[arg(long = "scope", required = true)]
    scopes: Vec<String>,
    /// The subject.
    #[arg(long, default_value = "local-developer")]
    subject: String,
    /// The validity: a number followed by s, m or h.
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
}

pub(super) fn run(place: Place, args: Args) -> anyhow::Result<()> {
    let secrets = secrets(place, &Checkout::find()?)?;
    let Args { tenant, scopes, subject, ttl } = args;
    let request = TokenRequest { subject, tenant, scopes, ttl };
    print(secrets.client_key()?.sign(&request).context("the token cannot be signed")?);
    Ok(())
}

fn parse_duration(text: &str) -> anyhow::Result<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let parts = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = parts.context("expected a number followed by s, m or h, such as 90s or 1h")?;
    let number: u64 = number.parse().context("expected a number before the unit")?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(parse_duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("5m").unwrap(), Duration::from_mins(5));
        assert_eq!(parse_duration("1h").unwrap(), Duration::from_hours(1));
        assert!(parse_duration("1").is_err());
        assert!(parse_duration("h").is_err());
    }
}
