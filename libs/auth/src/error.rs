//! The errors of keys and of tokens.

/// A key, a key file or a token to be made cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The key file cannot be read.
    #[error("cannot read the JWK Set {path}; point AUTH_JWKS_FILE to a readable file")]
    Unreadable {
        /// The file.
        path: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The text is not a JWK or a JWK Set.
    #[error("not a JWK with kty, crv, kid and x, or a set of them")]
    NotJwk(#[source] serde_json::Error),
    /// The set has no keys, so every request would be refused.
    #[error("the JWK Set is empty; add the public key of the issuer")]
    NoKeys,
    /// No key of the set can verify our tokens.
    #[error("the JWK Set has no usable key; add the public Ed25519 key of the issuer ({0})")]
    NoUsableKey(String),
    /// A development key in production.
    #[error("key `{0}` is a local development key, which production refuses; remove it from the JWK Set")]
    DevelopmentKey(String),
    /// The set has a private key.
    #[error("key `{0}` has its private member `d`; replace the key, and publish the public half only")]
    PrivateKeyExposed(String),
    /// Two keys have the same id.
    #[error("key id `{0}` is in the JWK Set twice; give each key its own id")]
    DuplicateKeyId(String),
    /// A private key has another type, or an invalid value.
    #[error("key `{kid}` is not a usable Ed25519 key: {problem}")]
    UnusableKey {
        /// The id of the key.
        kid: String,
        /// The fault.
        problem: &'static str,
    },
    /// A verifier would refuse the lifetime of the token.
    #[error("the lifetime of a token is 1 second to 24 hours; set one in this range")]
    Lifetime,
    /// Signing failed.
    #[error("cannot sign the token")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// Why a token is refused. For the log only, not for the caller.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// Longer than 8 KiB.
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// Not a JWT, or an unknown algorithm.
    #[error("the token's header is malformed")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// The header has `crit`: the token needs an extension, and none is supported.
    #[error("the token has critical header parameters")]
    Critical,
    /// The key set does not have its key.
    #[error("the key of the token is unknown")]
    UnknownKey,
    /// The key has expired.
    #[error("key `{0}` has expired")]
    KeyExpired(String),
    /// Wrong signature, algorithm, issuer, audience or time, or a claim is missing or malformed.
    #[error("the token does not verify")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// Issued in the future, or valid for more than 24 hours.
    #[error("the token's lifetime is longer than 24 hours or begins in the future")]
    Lifetime,
    /// Claims a scope that its key does not grant.
    #[error("key `{kid}` does not grant scope `{scope}`")]
    ScopeNotGranted {
        /// The id of the key.
        kid: String,
        /// The claimed scope.
        scope: String,
    },
}
