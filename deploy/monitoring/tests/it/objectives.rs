//! The objectives as their tests know them: written down a second time, so that a slip in one place shows.

/// An objective and what its alerts say, in the words that people are to see.
pub(crate) struct Objective {
    pub(crate) alert: &'static str,
    pub(crate) service: &'static str,
    pub(crate) slo: &'static str,
    /// The counted events, and the series of the bad ones.
    pub(crate) good: &'static str,
    pub(crate) bad: Bad,
    /// Looks bad and does not count.
    pub(crate) noise: &'static str,
    /// What this and the other objectives of the service need beside that.
    pub(crate) others: &'static [&'static str],
    pub(crate) budget: f64,
    pub(crate) percent: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) impact: &'static str,
}

pub(crate) enum Bad {
    /// Events of their own.
    Series(&'static str),
    /// Those that are missing in this bucket.
    Outside(&'static str),
    /// Some of those that were due.
    Late(&'static str),
}

/// What counts as late beside what is late.
pub(crate) const DEAD_LETTERS: &str =
    r#"consumer_handled_total{job="email-consumer",topic="orders.events",outcome="dead_letter"}"#;
const DUE: &str = r#"orders_journey_due_total{job="orders",instance="a"}"#;
const LATE: &str = r#"orders_journey_late_total{job="orders",instance="a"}"#;
const FAILED: &str = r#"http_server_request_duration_seconds_count{job="orders",method="POST",route="/v1/orders",status="503"}"#;
const ACCEPTED: &str = r#"http_server_request_duration_seconds_count{job="orders",method="POST",route="/v1/orders",status="202"}"#;
const QUICK: &str = r#"http_server_request_duration_seconds_bucket{job="orders",method="POST",route="/v1/orders",status="202",le="0.25"}"#;

pub(crate) const OBJECTIVES: [Objective; 6] = [
    Objective {
        alert: "OrdersAvailabilityBurn",
        service: "orders",
        slo: "availability",
        good: r#"http_server_request_duration_seconds_count{job="orders",method="POST",route="/v1/orders",status="202"}"#,
        bad: Bad::Series(
            r#"http_server_request_duration_seconds_count{job="orders",method="GET",route="/v1/orders/{id}",status="503"}"#,
        ),
        noise: r#"http_server_request_duration_seconds_count{job="orders",method="GET",route="unmatched",status="500"}"#,
        others: &[QUICK, DUE, LATE],
        budget: 0.001,
        percent: "99.9",
        summary: "Requests to orders fail",
        impact: "of requests fail: customers cannot place orders or see them.",
    },
    Objective {
        alert: "OrdersLatencyBurn",
        service: "orders",
        slo: "latency",
        good: r#"http_server_request_duration_seconds_count{job="orders",method="POST",route="/v1/orders",status="202"}"#,
        bad: Bad::Outside(
            r#"http_server_request_duration_seconds_bucket{job="orders",method="POST",route="/v1/orders",status="202",le="0.25"}"#,
        ),
        noise: r#"http_server_request_duration_seconds_count{job="orders",method="POST",route="/v1/orders",status="422"}"#,
        others: &[FAILED, DUE, LATE],
        budget: 0.01,
        percent: "99",
        summary: "Placing an order is slow",
        impact: "of accepted orders took longer than 250 ms: customers wait at the checkout.",
    },
    Objective {
        alert: "RedirectsAvailabilityBurn",
        service: "url-shortener",
        slo: "redirects-availability",
        good: r#"http_server_request_duration_seconds_count{job="url-shortener",method="GET",route="/{code}",status="302"}"#,
        bad: Bad::Series(
            r#"http_server_request_duration_seconds_count{job="url-shortener",method="GET",route="/{code}",status="500"}"#,
        ),
        noise: r#"http_server_request_duration_seconds_count{job="url-shortener",method="PUT",route="/v1/links/{code}",status="503"}"#,
        others: &[
            r#"http_server_request_duration_seconds_bucket{job="url-shortener",method="GET",route="/{code}",status="302",le="0.05"}"#,
        ],
        budget: 0.0005,
        percent: "99.95",
        summary: "Short links do not open",
        impact: "of short links fail to open: customers cannot reach their order's page.",
    },
    Objective {
        alert: "RedirectsLatencyBurn",
        service: "url-shortener",
        slo: "redirects-latency",
        good: r#"http_server_request_duration_seconds_count{job="url-shortener",method="GET",route="/{code}",status="302"}"#,
        bad: Bad::Outside(
            r#"http_server_request_duration_seconds_bucket{job="url-shortener",method="GET",route="/{code}",status="302",le="0.05"}"#,
        ),
        noise: r#"http_server_request_duration_seconds_count{job="url-shortener",method="GET",route="/{code}",status="404"}"#,
        others: &[
            r#"http_server_request_duration_seconds_count{job="url-shortener",method="GET",route="/{code}",status="503"}"#,
        ],
        budget: 0.01,
        percent: "99",
        summary: "Short links open slowly",
        impact: "of redirects took longer than 50 ms: every link in a mail feels slow.",
    },
    Objective {
        alert: "MailFreshnessBurn",
        service: "email-consumer",
        slo: "mail-freshness",
        good: r#"consumer_due_total{job="email-consumer",group="email-consumer",topic="orders.events"}"#,
        bad: Bad::Late(
            r#"consumer_late_total{job="email-consumer",group="email-consumer",topic="orders.events"}"#,
        ),
        noise: r#"consumer_handled_total{job="email-consumer",topic="orders.events",outcome="done"}"#,
        others: &[DEAD_LETTERS],
        budget: 0.01,
        percent: "99",
        summary: "Mails about orders are late",
        impact: "of mails were not sent within 60 s of their event: customers order again or ask support.",
    },
    Objective {
        alert: "OrdersFinalBurn",
        service: "orders",
        slo: "final",
        good: DUE,
        bad: Bad::Late(LATE),
        noise: r#"orders_process_steps_total{job="orders",outcome="failed"}"#,
        others: &[ACCEPTED, QUICK, FAILED],
        budget: 0.01,
        percent: "99",
        summary: "Orders are not confirmed or rejected in time",
        impact: "of orders were neither confirmed nor rejected after 10 s: customers wait for an answer.",
    },
];
