//! Invalid targets, each refused with its reason. The unit tests of the domain have more of them.

use reqwest::StatusCode;
use serde_json::Value;

use crate::service::{PUBLIC_URL, Service, send};

#[tokio::test]
async fn an_invalid_target_is_refused_with_its_reason() {
    let service = Service::start().await;
    let here = service.process.http_url();
    let port = here.rsplit(':').next().unwrap();
    let too_long = format!("https://example.com/{}", "x".repeat(2048));
    for (target, reason) in [
        ("", "must not be empty"),
        ("/orders/17", "absolute URL"),
        ("shop.example/orders", "absolute URL"),
        ("https://", "must have a host"),
        ("https:shop.example", "two slashes"),
        (" https://shop.example/", "start or end with whitespace"),
        ("https://shop.example/ ", "start or end with whitespace"),
        ("https://shop.example/\r\nSet-Cookie: a=b", "control characters"),
        ("https://shop.example/\u{1}", "control characters"),
        ("https:\\\\shop.example", "backslash"),
        ("https://shop example/", "host name or an IP address"),
        ("https://[::1", "IPv6 address"),
        ("https://1.2.3.256/", "four numbers up to 255"),
        ("https://shop.example:70000/", "port number up to 65535"),
        ("https://shop..example/", "two dots in a row"),
        (&format!("https://{}.example/", "x".repeat(64)), "63 characters"),
        (&format!("https://{}example/", "x.".repeat(150)), "253 characters"),
        ("ftp://shop.example/", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("data:text/html,<script>", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("https://user@shop.example/", "user name or password"),
        ("https://user:secret@shop.example/", "user name or password"),
        (&too_long, "2048 characters"),
        (PUBLIC_URL, "point to this service"),
        ("https://LINKS.test./abcdef", "point to this service"),
        (&here, "point to this service"),
        (&format!("http://localhost:{port}/abcdef"), "point to this service"),
        (&format!("https://127.0.0.1:{port}/"), "point to this service"),
        (&format!("http://[::1]:{port}/"), "point to this service"),
        (&format!("http://[::ffff:127.0.0.1]:{port}/"), "point to this service"),
        (&format!("http://2130706433:{port}/"), "point to this service"),
    ] {
        let answer = service.put("acme", "refused", target).await;
        answer.assert_error(400, "invalid_request");
        answer.assert_detail("/target");
        let message = answer.body["details"][0]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{target:?}: {message}");
    }
    service.get("acme", "refused").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_target_that_is_not_a_string_is_refused() {
    let service = Service::start().await;
    for target in [Value::Null, 17.into(), true.into(), vec!["https://example.com"].into()] {
        let body = serde_json::json!({ "target": target });
        let answer = send(service.put_request("refused").json(&body)).await;
        answer.assert_error(400, "invalid_request");
        answer.assert_detail("/target");
    }
}

#[tokio::test]
async fn the_longest_target_and_another_port_are_accepted() {
    let service = Service::start().await;
    let longest = format!("https://example.com/{}", "x".repeat(2048 - "https://example.com/".len()));
    // Another service of this machine, such as orders with its tracking pages.
    let neighbour = "http://127.0.0.1:1/track/token";
    for (code, target) in [("longest", longest.as_str()), ("neighbour", neighbour)] {
        let put = service.put("acme", code, target).await;
        assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
        assert_eq!(service.follow(code).await.header("location"), target);
    }
}
