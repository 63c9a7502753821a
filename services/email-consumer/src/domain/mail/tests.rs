//! What a reader finds in a mail.

use money::Money;
use uuid::Uuid;

use super::*;

const LINK: &str = "http://127.0.0.1:7401/4fK9zQ2mXw7B";

fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().expect("a currency"))
}

fn notice(verdict: Verdict, name: &str) -> Notice {
    Notice {
        order_id: Uuid::from_u128(0x0193_a7c2_5b1e_7d3f_8a4c_2e9f_7f3a_92c1),
        tenant: "acme".parse().expect("a tenant"),
        recipient: "ada@example.com".to_owned(),
        verdict,
        lines: vec![
            Line::new(name.to_owned(), 2, euros(1_250)).expect("in range"),
            Line::new("Teapot, cast iron".to_owned(), 1, euros(123_400)).expect("in range"),
        ],
        total: euros(125_900),
        tracking_url: "http://127.0.0.1:7400/track/secret".to_owned(),
    }
}

fn write(notice: &Notice) -> Mail {
    Mail::write(notice, LINK, "muster.local").expect("the templates render")
}

#[test]
fn both_parts_of_a_confirmation_hold_number_lines_total_and_link() {
    let mail = write(&notice(Verdict::Confirmed, "Darjeeling"));
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
        assert!(!part.contains("/track/"), "the capability itself is not in the mail: {part}");
    }
}

#[test]
fn a_rejection_says_why() {
    let mail =
        write(&notice(Verdict::Rejected { reason: "Only 1 teapot is left.".to_owned() }, "Darjeeling"));
    assert_eq!(mail.subject, "Your order 7F3A92C1 cannot be fulfilled");
    assert!(mail.message_id.contains("-rejected@"));
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("Only 1 teapot is left."), "{part}");
    }
}

#[test]
fn product_names_are_data() {
    let mail =
        write(&notice(Verdict::Confirmed, "<script>alert('tea')</script> & \"Co\"\r\n\r\nTotal: €0.00"));
    assert!(!mail.html.contains("<script"), "{}", mail.html);
    assert!(mail.html.contains("&#60;script&#62;"), "{}", mail.html);
    assert!(mail.text.contains("<script>alert('tea')</script> & \"Co\" Total: €0.00\n"), "{}", mail.text);
}

#[test]
fn the_html_needs_nothing_from_elsewhere() {
    let html = write(&notice(Verdict::Confirmed, "Darjeeling")).html;
    for forbidden in ["<img", "<link", "<script", "url(", "@import", "src="] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    assert!(html.contains(r#"<html lang="en""#));
}
