//! What can be wrong with a key, and with a token.

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
    /// The set has no key, so no request could ever be authenticated.
    #[error("the JWK Set is empty; add the public key of whoever signs the tokens")]
    NoKeys,
    /// The set has keys, and none of them can verify a token of ours.
    #[error("the JWK Set has no usable key; add the public Ed25519 key of whoever signs the tokens ({0})")]
    NoUsableKey(String),
    /// A development key in production.
    #[error("key `{0}` is a local development key, which production refuses; remove it from the JWK Set")]
    DevelopmentKey(String),
    /// A private key where a public one belongs.
    #[error("key `{0}` carries its private member `d`; publish the public half only, and replace the key")]
    PrivateKeyExposed(String),
    /// Two keys of one id: which one verifies would be an accident.
    #[error("key id `{0}` is in the JWK Set twice; give each key an id of its own")]
    DuplicateKeyId(String),
    /// A private key of a kind or with content that cannot be used.
    #[error("key `{kid}` is not a usable Ed25519 key: {problem}")]
    UnusableKey {
        /// The id of the key.
        kid: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A token that no verifier would take.
    #[error("a token may live for 1 second to 24 hours; choose a shorter time to live")]
    Lifetime,
    /// The signature could not be made.
    #[error("cannot sign the token")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// Why a token was refused: for the log, never for the caller.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// Longer than any token of ours.
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// Not a JWT, or of an algorithm that does not exist.
    #[error("the token's header is malformed")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Says that it needs an extension that is not understood here.
    #[error("the token has critical header parameters")]
    Critical,
    /// Signed by nobody known here.
    #[error("the token names no known key")]
    UnknownKey,
    /// Signed with a key past its end.
    #[error("key `{0}` has expired")]
    KeyExpired(String),
    /// Wrong signature, algorithm, issuer, audience or time, or a claim is missing or malformed.
    #[error("the token does not verify")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// Issued in the future, or for longer than the policy allows.
    #[error("the token's lifetime is longer than 24 hours or begins in the future")]
    Lifetime,
    /// Claims a scope that its key may not grant.
    #[error("key `{kid}` may not grant scope `{scope}`")]
    ScopeNotGranted {
        /// The key that signed.
        kid: String,
        /// The scope it claims.
        scope: String,
    },
}
