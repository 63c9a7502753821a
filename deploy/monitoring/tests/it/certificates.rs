//! The alert before and after the expiry of a certificate.

use crate::{
    cause_alerts::{case, fires, labels, minutes, series},
    pace::Pace,
    promtool::{Check, Firing, values},
};

/// What fires when the certificate of url-shortener has this much time left, or has expired this long ago.
fn certificate(severity: &'static str, duration: &str) -> Firing {
    let (summary, description) = match severity {
        "ticket" => (
            "The certificate of url-shortener expires soon",
            format!(
                "Impact: none yet; in {duration} every new TLS connection to url-shortener fails.\nBudget left: not \
                 affected before."
            ),
        ),
        _ => (
            "The certificate of url-shortener has expired",
            format!(
                "Impact: every new TLS connection to url-shortener fails since {duration}; open ones continue until they \
                 end.\nBudget left: mail-freshness loses every mail that needs a new connection to url-shortener."
            ),
        ),
    };
    Firing { labels: labels("url-shortener", severity, []), summary: summary.to_owned(), description }
}

const CERTIFICATE: &str = r#"tls_certificate_expiry_timestamp_seconds{job="url-shortener",instance="a"}"#;

#[test]
fn a_certificate_opens_a_ticket_fourteen_days_before_it_expires() {
    const DAYS: f64 = 86_400.0;
    for pace in Pace::BOTH {
        let mut ends = vec![14.0 * DAYS + minutes(pace, 10.0); 13];
        ends.push(90.0 * DAYS);
        let firing = certificate("ticket", pace.either("13d 23h 59m 0s", "13d 23h 59m 59s"));
        let checks = fires("CertificateNearExpiry", 11, &firing, 13);
        case("CertificateNearExpiry", pace, series([(CERTIFICATE, values(ends))]), checks);
    }
}

#[test]
fn an_expired_certificate_pages_instead_of_the_ticket_until_it_is_renewed() {
    for pace in Pace::BOTH {
        let mut ends = vec![minutes(pace, 10.0); 13];
        ends.push(90.0 * 86_400.0);
        let check = |step, firing| Check { step, alert: "CertificateNearExpiry", firing };
        let checks = vec![
            check(9, vec![certificate("ticket", pace.either("1m 0s", "1s"))]),
            check(10, vec![certificate("page", "0s")]),
            check(12, vec![certificate("page", pace.either("2m 0s", "2s"))]),
            check(13, vec![]),
        ];
        case("CertificateNearExpiry", pace, series([(CERTIFICATE, values(ends))]), checks);
    }
}
