//! The content of an e-mail.

use money::Money;
use uuid::Uuid;

use super::*;

const LINK: &str = "http://127.0.0.1:7401/4fK9zQ2mXw7B";

fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().expect("a currency"))
}

fn email(outcome: Outcome, name: &str) -> OrderEmail {
    OrderEmail {
        order_id: Uuid::from_u128(0x0193_a7c2_5b1e_7d3f_8a4c_2e9f_7f3a_92c1),
        tenant: "acme".parse().expect("a tenant"),
        recipient: "ada@example.com".to_owned(),
        outcome,
        lines: vec![
            Line::new(name.to_owned(), 2, euros(1_250)).expect("in range"),
            Line::new("Teapot, cast iron".to_owned(), 1, euros(123_400)).expect("in range"),
        ],
        total: euros(125_900),
        tracking_url: "http://127.0.0.1:7400/track/secret".to_owned(),
    }
}

fn render(email: &OrderEmail) -> Rendered {
    email.render(LINK, "muster.local").expect("the templates render")
}

#[test]
fn both_parts_of_a_confirmation_contain_number_lines_total_and_link() {
    let mail = render(&email(Outcome::Confirmed, "Darjeeling"));
    assert_eq!(mail.subject, "Your order 7F3A92C1 is confirmed");
    assert_eq!(mail.message_id, "<order-0193a7c2-5b1e-7d3f-8a4c-2e9f7f3a92c1-confirmed@muster.local>");
    for part in [&mail.text, &mail.html] {
        for expected in [
            "Your order is confirmed",
            "0193a7c2-5b1e-7d3f-8a4c-2e9f7f3a92c1",
            "Darjeeling",
            "€12.50",
            "€25.00",
            "€1,259.00",
            LINK,
        ] {
            assert!(part.contains(expected), "no {expected} in {part}");
        }
        assert!(!part.contains("/track/"), "the e-mail contains the tracking URL itself: {part}");
    }
}

#[test]
fn a_rejection_contains_the_reason() {
    let mail =
        render(&email(Outcome::Rejected { reason: "Only 1 teapot is left.".to_owned() }, "Darjeeling"));
    assert_eq!(mail.subject, "Your order 7F3A92C1 cannot be fulfilled");
    assert!(mail.message_id.contains("-rejected@"));
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("Only 1 teapot is left."), "{part}");
    }
}

#[test]
fn the_committed_mails_match_the_templates() {
    let rejected = Outcome::Rejected { reason: "Only 1 teapot is left.".to_owned() };
    for outcome in [Outcome::Confirmed, rejected] {
        let kind = outcome.kind();
        render(&email(outcome, "Darjeeling")).assert_committed(kind);
    }
}

#[test]
fn product_names_are_escaped() {
    let mail =
        render(&email(Outcome::Confirmed, "<script>alert('tea')</script> & \"Co\"\r\n\r\nTotal: €0.00"));
    assert!(!mail.html.contains("<script"), "{}", mail.html);
    assert!(mail.html.contains("&#60;script&#62;"), "{}", mail.html);
    assert!(mail.text.contains("<script>alert('tea')</script> & \"Co\" Total: €0.00\n"), "{}", mail.text);
}

#[test]
fn the_html_loads_no_external_resources() {
    let html = render(&email(Outcome::Confirmed, "Darjeeling")).html;
    for forbidden in ["<img", "<link", "<script", "url(", "@import", "src="] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    assert!(html.contains(r#"<html lang="en""#));
}
