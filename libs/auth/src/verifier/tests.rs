use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::{SigningKey, TokenRequest};

const HOUR: u64 = 3_600;

fn request(scopes: &[&str]) -> TokenRequest {
    TokenRequest {
        subject: "ada".to_owned(),
        tenant: "acme".parse().unwrap(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        ttl: Duration::from_secs(HOUR),
    }
}

fn verifier(key: &SigningKey) -> Verifier {
    Verifier::new(Jwks { keys: vec![key.public_jwk(None)] }, Environment::Local).unwrap()
}

/// The claims of a valid token.
fn claims() -> Value {
    let now = jsonwebtoken::get_current_timestamp();
    json!({
        "iss": "muster", "aud": "muster", "sub": "ada", "tenant": "acme", "scope": "orders:read",
        "iat": now, "nbf": now, "exp": now + HOUR, "jti": "1",
    })
}

/// Whether the result is an error with this reason.
fn is_refused<T>(result: &anyhow::Result<T>, reason: &str) -> bool {
    result.as_ref().is_err_and(|error| error.to_string().contains(reason))
}

fn verify_changed(change: impl FnOnce(&mut Value, u64)) -> anyhow::Result<Principal> {
    let key = SigningKey::generate("k");
    let mut claims = claims();
    change(&mut claims, jsonwebtoken::get_current_timestamp());
    verifier(&key).verify(&key.sign_claims(&claims).unwrap())
}

#[test]
fn a_valid_token_gives_its_principal() {
    let key = SigningKey::generate("k");
    let caller =
        verifier(&key).verify(&key.sign(&request(&["orders:write", "orders:read"])).unwrap()).unwrap();
    assert_eq!((caller.subject.as_str(), caller.tenant.as_str()), ("ada", "acme"));
    assert!(caller.scopes.contains("orders:write") && caller.scopes.contains("orders:read"));
    assert!(!caller.scopes.contains("orders") && !caller.scopes.contains("links:write"));
}

#[test]
fn a_key_is_unchanged_after_writing_and_reading() {
    let key = SigningKey::generate("k");
    let read = SigningKey::from_jwk_json(&key.to_jwk_json()).unwrap();
    assert!(verifier(&key).verify(&read.sign(&request(&[])).unwrap()).is_ok());
    assert!(
        !format!("{key:?}")
            .contains(&serde_json::from_str::<Value>(&key.to_jwk_json()).unwrap()["d"].to_string())
    );
}

#[test]
fn an_unsigned_token_is_refused() {
    let key = SigningKey::generate("k");
    let encode = |part: &Value| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(part.to_string())
    };
    for alg in ["none", "None", "NONE"] {
        let token = format!("{}.{}.", encode(&json!({"alg": alg, "kid": "k"})), encode(&claims()));
        assert!(is_refused(&verifier(&key).verify(&token), "header is malformed"), "{alg}");
    }
    let stripped = key.sign_claims(&claims()).unwrap();
    let (unsigned, _) = stripped.rsplit_once('.').unwrap();
    assert!(verifier(&key).verify(&format!("{unsigned}.")).is_err());
}

#[test]
fn an_hmac_with_the_public_key_is_refused() {
    let key = SigningKey::generate("k");
    let public = jwk::decode_key(&key.public_jwk(None).x).unwrap();
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::HS256) };
    for secret in [public.to_vec(), key.public_jwk(None).x.into_bytes()] {
        let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert!(is_refused(&verifier(&key).verify(&token), "does not verify"));
    }
}

#[test]
fn a_token_of_another_key_is_refused() {
    let verifier = verifier(&SigningKey::generate("k"));
    let same_id = SigningKey::generate("k").sign(&request(&[])).unwrap();
    assert!(is_refused(&verifier.verify(&same_id), "does not verify"));
    let other_id = SigningKey::generate("other").sign(&request(&[])).unwrap();
    assert!(is_refused(&verifier.verify(&other_id), "key of the token is unknown"));
}

#[test]
fn a_changed_claim_breaks_the_signature() {
    let key = SigningKey::generate("k");
    let good = key.sign(&request(&["orders:read"])).unwrap();
    let other = key.sign(&request(&["orders:write"])).unwrap();
    let parts: Vec<_> = good.split('.').zip(other.split('.')).collect();
    let forged = format!("{}.{}.{}", parts[0].0, parts[1].1, parts[2].0);
    assert!(is_refused(&verifier(&key).verify(&forged), "does not verify"));
}

#[test]
fn time_is_checked_with_thirty_seconds_of_leeway() {
    assert!(verify_changed(|claims, now| claims["exp"] = (now - 10).into()).is_ok());
    assert!(verify_changed(|claims, now| claims["nbf"] = (now + 20).into()).is_ok());
    for wrong in [
        verify_changed(|claims, now| claims["exp"] = (now - 60).into()),
        verify_changed(|claims, now| claims["nbf"] = (now + 60).into()),
        verify_changed(|claims, now| claims["iat"] = (now + 60).into()),
        verify_changed(|claims, now| claims["exp"] = (now + 25 * HOUR).into()),
        verify_changed(|claims, now| {
            claims["iat"] = (now - 23 * HOUR).into();
            claims["exp"] = (now + 2 * HOUR).into();
        }),
    ] {
        assert!(wrong.is_err(), "{wrong:?}");
    }
}

#[test]
fn every_claim_is_required_and_checked() {
    for claim in ["iss", "aud", "sub", "tenant", "scope", "iat", "nbf", "exp", "jti"] {
        let without = verify_changed(|claims, _| drop(claims.as_object_mut().unwrap().remove(claim)));
        assert!(is_refused(&without, "does not verify"), "{claim}: {without:?}");
    }
    for (claim, value) in [("iss", "other"), ("aud", "other"), ("tenant", "Not A Tenant"), ("tenant", "")] {
        let changed = verify_changed(|claims, _| claims[claim] = value.into());
        assert!(is_refused(&changed, "does not verify"), "{claim}: {changed:?}");
    }
}

#[test]
fn audience_arrays_and_fractional_times_are_accepted() {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let with_fraction = |seconds: u64| Value::from(seconds as f64 + 0.25);
    for good in [
        verify_changed(|claims, _| claims["aud"] = json!(["other", "muster"])),
        verify_changed(|claims, _| claims["aud"] = json!(["muster"])),
        verify_changed(|claims, now| claims["exp"] = with_fraction(now + HOUR)),
        verify_changed(|claims, now| claims["nbf"] = with_fraction(now - 1)),
        verify_changed(|claims, now| claims["iat"] = with_fraction(now - 1)),
    ] {
        assert!(good.is_ok(), "{good:?}");
    }
    for bad in [
        verify_changed(|claims, _| claims["aud"] = json!(["other", "another"])),
        verify_changed(|claims, _| claims["aud"] = json!([])),
        verify_changed(|claims, _| claims["aud"] = json!([1, "muster"])),
        verify_changed(|claims, _| claims["aud"] = json!({ "muster": true })),
        verify_changed(|claims, _| claims["exp"] = json!("4102444800")),
        verify_changed(|claims, _| claims["exp"] = json!(1e300)),
        verify_changed(|claims, _| claims["iat"] = json!(-1.5)),
        verify_changed(|claims, now| claims["exp"] = with_fraction(now + 24 * HOUR)),
    ] {
        assert!(bad.is_err(), "{bad:?}");
    }
}

#[test]
fn a_key_grants_only_its_own_scopes() {
    let key = SigningKey::generate("links");
    let only_links = Jwks { keys: vec![key.public_jwk(Some(vec!["links:write".to_owned()]))] };
    let verifier = Verifier::new(only_links, Environment::Local).unwrap();
    assert!(verifier.verify(&key.sign(&request(&["links:write"])).unwrap()).is_ok());
    let too_much = verifier.verify(&key.sign(&request(&["links:write", "orders:write"])).unwrap());
    assert!(is_refused(&too_much, "does not grant scope `orders:write`"));
}

#[test]
fn an_expired_key_is_refused_and_its_expiry_is_a_metric() {
    let key = SigningKey::generate("ends");
    let now = jsonwebtoken::get_current_timestamp();
    let verify = |exp| {
        let jwks = Jwks { keys: vec![key.public_jwk(None).expiring_at(exp)] };
        Verifier::new(jwks, Environment::Local).unwrap().verify(&key.sign(&request(&[])).unwrap())
    };
    assert!(is_refused(&verify(now), "key `ends` has expired"));
    assert!(verify(now + 3600).is_ok());
    let families = prometheus::gather();
    let family = families.iter().find(|family| family.name() == "auth_key_expiry_timestamp_seconds").unwrap();
    let shown = family.get_metric().iter().find(|metric| metric.get_label()[0].value() == "ends").unwrap();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let expected = (now + 3600) as f64;
    assert!((shown.get_gauge().get_value() - expected).abs() < f64::EPSILON);
}

#[test]
fn a_malformed_or_long_token_is_refused() {
    let verifier = verifier(&SigningKey::generate("k"));
    for garbage in ["", ".", "..", "a.b.c", "Bearer x", "\u{0}", "eyJhbGciOiJFZERTQSJ9.e30."] {
        assert!(verifier.verify(garbage).is_err(), "{garbage:?}");
    }
    assert!(is_refused(&verifier.verify(&"a".repeat(8 * 1024 + 1)), "longer than 8 KiB"));
}

#[test]
fn a_token_with_critical_headers_is_refused() {
    let key = SigningKey::generate("k");
    let der = ed25519_dalek::pkcs8::EncodePrivateKey::to_pkcs8_der(&ed25519_dalek::SigningKey::from_bytes(
        &[7; 32],
    ));
    let header = Header {
        kid: Some("k".to_owned()),
        crit: Some(vec!["b64".to_owned()]),
        ..Header::new(Algorithm::EdDSA)
    };
    let token =
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_ed_der(der.unwrap().as_bytes())).unwrap();
    assert!(is_refused(&verifier(&key).verify(&token), "critical header"));
}

#[test]
fn signing_refuses_an_invalid_lifetime() {
    let key = SigningKey::generate("k");
    for ttl in [Duration::ZERO, Duration::from_millis(900), Duration::from_hours(25)] {
        let request = TokenRequest { ttl, ..request(&[]) };
        assert!(is_refused(&key.sign(&request), "lifetime of a token"), "{ttl:?}");
    }
}

#[test]
fn an_invalid_key_set_stops_start_up() {
    let good = public("k");
    for (keys, expected) in [
        (json!([]), "is empty"),
        (json!([good, good]), "twice"),
        (json!([public("other"), with(&good, "d", json!("secret"))]), "private member"),
        (
            json!([public("other"), { "kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB", "d": "AQAB" }]),
            "private member",
        ),
        (json!("keys"), "not a JWK"),
    ] {
        let error = from_keys(&keys).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Unusable keys, and the reported fault.
fn unusable_keys() -> Vec<(Value, &'static str)> {
    let ours = public("unusable");
    let without = |member: &str| {
        let mut jwk = ours.clone();
        jwk.as_object_mut().unwrap().remove(member);
        jwk
    };
    vec![
        (
            json!({ "kty": "RSA", "kid": "unusable", "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB" }),
            "kty must be OKP",
        ),
        (json!({ "kty": "EC", "kid": "unusable", "crv": "P-256", "x": "AA", "y": "AA" }), "kty must be OKP"),
        (json!({ "kty": "AKP", "kid": "unusable", "alg": "ML-DSA-44", "pub": "AA" }), "kty must be OKP"),
        (with(&ours, "crv", json!("X25519")), "kty must be OKP"),
        (with(&ours, "crv", json!("Ed448")), "kty must be OKP"),
        (with(&ours, "use", json!("enc")), "use must be sig"),
        (with(&ours, "alg", json!("ECDH-ES")), "alg must be"),
        (with(&ours, "key_ops", json!(["sign"])), "key_ops must have verify"),
        (with(&ours, "x", json!("AAAA")), "32 bytes"),
        (with(&ours, "x", json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")), "weak"),
        (with(&ours, "muster_scopes", json!("links:write")), "invalid type"),
        (with(&ours, "exp", json!("never")), "invalid type"),
        (without("x"), "missing field `x`"),
        (without("kid"), "without kid, number 1"),
        (without("kty"), "kty must be OKP"),
        (json!("no object"), "without kid, number 1"),
    ]
}

#[test]
fn an_unusable_key_is_skipped_and_its_tokens_are_refused() {
    let token = SigningKey::generate("unusable").sign(&request(&[])).unwrap();
    for (unusable, problem) in unusable_keys() {
        let key = SigningKey::generate("k");
        let beside = json!([unusable, key.public_jwk(None)]);
        let verifier = from_keys(&beside).unwrap_or_else(|error| panic!("{problem}: {error}"));
        assert!(verifier.verify(&key.sign(&request(&[])).unwrap()).is_ok(), "{problem}");
        assert!(is_refused(&verifier.verify(&token), "key of the token is unknown"), "{problem}");

        let error = from_keys(&json!([unusable])).unwrap_err().to_string();
        assert!(error.contains("no usable key") && error.contains(problem), "{problem}: {error}");
    }
    // Members that do not contradict the use are ignored.
    let ours = public("k");
    for (member, value) in
        [("use", json!("sig")), ("alg", json!("EdDSA")), ("key_ops", json!(["verify"])), ("x5t", json!(1))]
    {
        assert!(from_keys(&json!([with(&ours, member, value)])).is_ok(), "{member}");
    }
}

fn public(kid: &str) -> Value {
    serde_json::to_value(SigningKey::generate(kid).public_jwk(None)).unwrap()
}

fn with(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value;
    jwk
}

fn from_keys(keys: &Value) -> anyhow::Result<Verifier> {
    Verifier::from_json(&json!({ "keys": keys }).to_string(), Environment::Production)
}

#[test]
fn production_refuses_development_keys_and_a_missing_file_names_the_setting() {
    let jwks = || Jwks { keys: vec![SigningKey::generate("local-development-email").public_jwk(None)] };
    assert!(Verifier::new(jwks(), Environment::Local).is_ok());
    assert!(is_refused(&Verifier::new(jwks(), Environment::Production), "development key"));
    let missing = Verifier::from_file("/nonexistent/jwks.json", Environment::Local).unwrap_err();
    assert!(missing.to_string().contains("AUTH_JWKS_FILE"), "{missing}");
}
