//! Bearer tokens: only the signed text is accepted.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use auth::{Jwks, SigningKey, TokenRequest, Verifier};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use telemetry::Environment;

struct Issued {
    verifier: Verifier,
    token: String,
}

static ISSUED: LazyLock<Issued> = LazyLock::new(|| {
    let key = SigningKey::generate("k");
    let request = TokenRequest {
        subject: "ada".to_owned(),
        tenant: "acme".parse().expect("a tenant"),
        scopes: vec!["orders:write".to_owned()],
        ttl: Duration::from_hours(1),
    };
    let token = key.sign(&request).expect("a token");
    let verifier = Verifier::new(Jwks { keys: vec![key.public_jwk(None)] }, Environment::Local);
    Issued { verifier: verifier.expect("a verifier"), token }
});

fuzz_target!(|data: &[u8]| {
    let presented = edited(&ISSUED.token, data);
    let accepted = ISSUED.verifier.verify(&presented).is_ok();
    assert_eq!(accepted, presented == ISSUED.token, "only the signed text is a token");
});
