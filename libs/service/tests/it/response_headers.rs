//! Security headers and CORS.

use reqwest::{
    Method, Response,
    header::{HeaderMap, HeaderName},
};

use crate::probe::{Probe, client};

const SHOP: &str = "https://shop.example";
const ORIGINS: (&str, &str) = ("CORS_ALLOWED_ORIGINS", "https://shop.example,http://localhost:3000");
/// Short enough that a handler can be seen to take longer.
const HURRIED: (&str, &str) = ("REQUEST_TIMEOUT_MS", "500");

async fn send(probe: &Probe, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = client();
    let mut request = client.request(method, format!("{}{path}", probe.api));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn cors_headers(headers: &HeaderMap) -> Vec<&str> {
    headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("access-control-")).collect()
}

/// A success, a failure of routing, and one that comes up as an error because the handler was dropped.
const OUTCOMES: [(&str, u16); 3] = [("/slow/1", 200), ("/nowhere", 404), ("/slow/9000", 503)];

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let probe = Probe::start(&[HURRIED]).await;
    for (path, status) in OUTCOMES {
        let response = send(&probe, Method::GET, path, &[]).await;
        assert_eq!(response.status(), status, "{path}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
            assert_eq!(response.headers().get_all(name).iter().count(), 1, "{path} {name}");
        }
        for name in ["server", "x-powered-by", "strict-transport-security"] {
            assert!(!response.headers().contains_key(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn cors_is_off_by_default() {
    let probe = Probe::start(&[HURRIED]).await;
    for (path, _) in OUTCOMES {
        let response = send(&probe, Method::GET, path, &[("origin", SHOP)]).await;
        assert_eq!(cors_headers(response.headers()), [""; 0], "{path}");
    }
    let ask = [("origin", SHOP), ("access-control-request-method", "GET")];
    let preflight = send(&probe, Method::OPTIONS, "/nowhere", &ask).await;
    assert_eq!((preflight.status().as_u16(), cors_headers(preflight.headers()).len()), (404, 0));
}

#[tokio::test]
async fn a_listed_origin_can_read_every_outcome() {
    let probe = Probe::start(&[HURRIED, ORIGINS]).await;
    let ask = [
        ("origin", SHOP),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x"),
    ];
    let preflight = send(&probe, Method::OPTIONS, "/slow/1", &ask).await;
    assert_eq!(preflight.status(), 204);
    let headers = preflight.headers();
    assert_eq!(headers["access-control-allow-origin"], SHOP);
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    for name in ["authorization", "idempotency-key", "if-match", "if-none-match", "x-request-deadline-ms"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert_eq!(headers["access-control-max-age"], "600");

    for (path, status) in OUTCOMES {
        let response = send(&probe, Method::GET, path, &[("origin", SHOP)]).await;
        assert_eq!(response.status(), status, "{path}");
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], SHOP, "{path}");
        assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("retry-after"), "{path}");
        assert!(!headers.contains_key("access-control-allow-credentials"), "{path}");
    }
}

#[tokio::test]
async fn an_unlisted_origin_gets_no_cors_headers_and_vary_has_origin() {
    let probe = Probe::start(&[ORIGINS]).await;
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"]
    {
        let response = send(&probe, Method::GET, "/slow/1", &[("origin", origin)]).await;
        assert_eq!(cors_headers(response.headers()), [""; 0], "{origin}");
        assert_eq!(response.headers()["vary"], "origin", "{origin}");
        let ask = [("origin", origin), ("access-control-request-method", "GET")];
        let preflight = send(&probe, Method::OPTIONS, "/nowhere", &ask).await;
        assert_eq!(cors_headers(preflight.headers()), [""; 0], "{origin}");
    }
}

#[tokio::test]
async fn a_malformed_origin_is_refused_at_start_up() {
    for bad in ["*", "https://*.shop.example", "https://shop.example/", "shop.example"] {
        let remains = Probe::spawn(&[("CORS_ALLOWED_ORIGINS", bad)]).end().await;
        assert_eq!(remains.code, 2, "{bad}");
        assert!(remains.stderr.contains("list each origin"), "{bad}: {}", remains.stderr);
    }
}
