#![doc = include_str!("../README.md")]

use std::path::PathBuf;

mod claims;
mod jwk;
mod metrics;
mod principal;
mod signing;
mod verifier;

pub use claims::TokenRequest;
pub use jwk::{Jwk, Jwks};
pub use principal::{InvalidTenant, Principal, Tenant};
pub use signing::SigningKey;
pub use verifier::Verifier;

/// The settings of token verification.
#[derive(Clone, Debug, clap::Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// File with the JWK Set (RFC 7517) whose keys may sign bearer tokens.
    #[arg(long, env = "AUTH_JWKS_FILE", value_name = "PATH")]
    pub auth_jwks_file: PathBuf,
}
