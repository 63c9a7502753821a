//! Limits of the shape of a body: one at the limit is accepted, one beyond it is refused with the limit and the place.

use crate::fixture::{Server, failure};

struct Case {
    good: String,
    bad: String,
    pointer: String,
    limit: &'static str,
}

fn cases() -> Vec<Case> {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let arrays = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    let elements = |count: usize| format!(r#"{{"a/b":[{}]}}"#, vec!["1"; count].join(","));
    let string = |bytes: usize| format!(r#"{{"a":["{}"]}}"#, "x".repeat(bytes));
    let name = |bytes: usize| format!(r#"{{"a":{{"{}":1}}}}"#, "x".repeat(bytes));
    let number = |number: &str| format!(r#"{{"a":[0,{number}]}}"#);
    let case = |good, bad, pointer: &str, limit| Case { good, bad, pointer: pointer.to_owned(), limit };
    let numbers = "from -9007199254740991 to 9007199254740991";
    vec![
        case(nested(32), nested(33), &"/a".repeat(32), "32 levels"),
        case(nested(32), nested(5_000), &"/a".repeat(32), "32 levels"),
        case(arrays(32), arrays(33), &format!("/a{}", "/0".repeat(31)), "32 levels"),
        case(elements(1_000), elements(1_001), "/a~1b", "1000 elements"),
        case(string(8_192), string(8_193), "/a/0", "8192 bytes"),
        case(name(8_192), name(8_193), "/a", "8192 bytes"),
        case(number("9007199254740991"), number("9007199254740992"), "/a/1", numbers),
        case(number("-9007199254740991"), number("-9007199254740992"), "/a/1", numbers),
        case(number("1.5"), number("9223372036854775808"), "/a/1", numbers),
        case(number("-0.1e2"), number("99999999999999999999999999"), "/a/1", numbers),
        case(number("null"), number("1e300"), "/a/1", numbers),
        case(number("1e-400"), number("1e400"), "/a/1", numbers),
        case(number("0e400"), number(&"9".repeat(400)), "/a/1", numbers),
    ]
}

#[actix_web::test]
async fn depth_length_and_strings_of_a_body_are_limited() {
    let server = Server::start();
    for Case { good, bad, pointer, limit } in cases() {
        let send = |body: String| {
            server.method("POST", "/any").header("content-type", "application/json").body(body)
        };
        assert_eq!(send(good.clone()).send().await.unwrap().status(), 200, "{good:.80}");
        let body = failure(send(bad), 400, "invalid_request").await;
        assert_eq!(body["details"][0]["pointer"], pointer, "{body}");
        assert!(body["details"][0]["message"].as_str().unwrap().contains(limit), "{body}");
    }
}

#[actix_web::test]
async fn a_truncated_body_is_malformed() {
    let server = Server::start();
    let body = r#"{"a":"#.repeat(32);
    let request = server.method("POST", "/any").header("content-type", "application/json").body(body);
    failure(request, 400, "malformed_json").await;
}
