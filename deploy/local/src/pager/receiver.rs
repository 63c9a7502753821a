//! The webhook receiver that Alertmanager calls.

use std::{
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;
use chrono::{DateTime, Utc};

use super::{
    events::{AlertEvent, AlertStates, Status, WebhookBody, append, read},
    reconcile::{Reconciler, firing_at},
};
use crate::console::print_error;

/// The largest webhook that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// Limit of concurrent connections.
const CONNECTION_LIMIT: usize = 16;

/// How often the pager checks the heartbeat.
const HEARTBEAT_POLL: Duration = Duration::from_secs(1);

/// Requests to Alertmanager during `absent_for`.
const REQUESTS: u32 = 6;

/// Settings of the receiver.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// The port on the loopback interface.
    #[arg(long)]
    port: u16,
    /// The file of events.
    #[arg(long)]
    file: PathBuf,
    /// Seconds without a heartbeat after which the pager writes a page.
    #[arg(long)]
    heartbeat_within_s: u64,
    /// The URL of the Alertmanager that sends.
    #[arg(long)]
    alertmanager: String,
    /// Seconds for which Alertmanager lacks an open alert before it counts as ended. Longer than the resend delay of Prometheus.
    #[arg(long)]
    absent_for_s: u64,
}

/// The alert that always fires (`deploy/monitoring/causes.yaml`), and that Alertmanager repeats. Without it, no other alert arrives either.
const WATCHDOG: &str = "Watchdog";

/// The file of events, the state of each alert, and the heartbeat.
struct PageLog {
    path: PathBuf,
    states: AlertStates,
    heartbeat_within: Duration,
    last_heartbeat: Instant,
}

/// Receives notifications until a signal ends the program. Writes a page when the heartbeat is missing, and the events that Alertmanager
/// does not send.
pub(crate) async fn serve(settings: Settings) -> anyhow::Result<()> {
    let Settings { port, file, heartbeat_within_s, alertmanager, absent_for_s } = settings;
    let absent_for = Duration::from_secs(absent_for_s);
    let pages = PageLog::open(file, Duration::from_secs(heartbeat_within_s))?;
    let pages = web::Data::new(Mutex::new(pages));
    let watched = web::Data::clone(&pages);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::clone(&pages))
            .app_data(web::JsonConfig::default().limit(BODY_LIMIT))
            .route("/alerts", web::post().to(receive))
            .route("/health", web::get().to(HttpResponse::Ok))
    })
    .workers(1)
    .max_connections(CONNECTION_LIMIT)
    .client_request_timeout(Duration::from_secs(5))
    .shutdown_timeout(5)
    .bind(("127.0.0.1", port))
    .with_context(|| format!("port {port} cannot be listened on"))?;
    tokio::select! {
        ended = server.run() => ended.context("the pager failed"),
        never = watch_heartbeat(&watched) => never,
        never = watch_alertmanager(&watched, &alertmanager, absent_for) => never,
    }
}

async fn watch_heartbeat(pages: &Mutex<PageLog>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(HEARTBEAT_POLL).await;
        if let Err(error) = pages.lock().expect(LOCK).report_absence() {
            print_error(format_args!("cannot write a page: {error:#}"));
        }
    }
}

/// Asks Alertmanager as long as an alert is open, or may fire again without a notification.
async fn watch_alertmanager(pages: &Mutex<PageLog>, url: &str, absent_for: Duration) -> anyhow::Result<()> {
    let mut reconciler = Reconciler::new(absent_for);
    loop {
        tokio::time::sleep(absent_for / REQUESTS).await;
        let unconfirmed = pages.lock().expect(LOCK).unconfirmed();
        if unconfirmed.is_empty() {
            continue;
        }
        match firing_at(url).await {
            Ok(firing) => {
                let found = reconciler.answered(&unconfirmed, &firing, Instant::now(), Utc::now());
                let mut pages = pages.lock().expect(LOCK);
                if let Err(error) = found.into_iter().try_for_each(|event| pages.add_event(event)) {
                    print_error(format_args!("cannot write the events found at Alertmanager: {error:#}"));
                }
            }
            Err(error) => {
                print_error(format_args!("cannot confirm the open alerts: {error:#}"));
                reconciler.unanswered();
            }
        }
    }
}

/// Reason why the lock is never poisoned.
const LOCK: &str = "no code panics while it holds this lock";

/// Alertmanager repeats a notification until it gets a 2xx status.
async fn receive(body: web::Json<WebhookBody>, pages: web::Data<Mutex<PageLog>>) -> HttpResponse {
    match pages.lock().expect(LOCK).add(&body) {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(error) => {
            print_error(format_args!("cannot write a page: {error:#}"));
            HttpResponse::InternalServerError().finish()
        }
    }
}

impl PageLog {
    fn open(path: PathBuf, heartbeat_within: Duration) -> anyhow::Result<Self> {
        let states = AlertStates::of(read(&path, 0)?.0);
        Ok(Self { path, states, heartbeat_within, last_heartbeat: Instant::now() })
    }

    /// The events that Alertmanager has to confirm. The page about a missing heartbeat is not Alertmanager's.
    fn unconfirmed(&self) -> Vec<AlertEvent> {
        self.states.unconfirmed().filter(|event| event.alert != WATCHDOG).cloned().collect()
    }

    /// The open page about a missing heartbeat.
    fn absence(&self) -> Option<&AlertEvent> {
        self.states.open().into_iter().find(|event| event.alert == WATCHDOG)
    }

    /// Writes one page when the heartbeat is missing.
    fn report_absence(&mut self) -> anyhow::Result<()> {
        if self.absence().is_some() || self.last_heartbeat.elapsed() < self.heartbeat_within {
            return Ok(());
        }
        let now = Utc::now();
        self.keep(AlertEvent {
            received_at: now,
            status: Status::Firing,
            severity: "page".to_owned(),
            alert: WATCHDOG.to_owned(),
            service: "monitoring".to_owned(),
            slo: None,
            starts_at: now,
            ends_at: None,
            found: None,
            summary: format!("No heartbeat from the monitoring for {} s", self.heartbeat_within.as_secs()),
            description: "Impact: no other alert arrives either.".to_owned(),
            runbook: "docs/runbooks/Watchdog.md".to_owned(),
            fingerprint: "heartbeat".to_owned(),
        })
    }

    /// Takes a heartbeat, and ends the page about its absence.
    fn beat(&mut self, received_at: DateTime<Utc>) -> anyhow::Result<()> {
        self.last_heartbeat = Instant::now();
        let Some(absence) = self.absence().cloned() else { return Ok(()) };
        self.keep(AlertEvent {
            status: Status::Resolved,
            received_at,
            ends_at: Some(received_at),
            summary: "The heartbeat is back: alerts arrive again".to_owned(),
            ..absence
        })
    }

    fn add(&mut self, webhook: &WebhookBody) -> anyhow::Result<()> {
        for alert in &webhook.alerts {
            let event = AlertEvent::new(alert, Utc::now());
            if event.alert != WATCHDOG {
                self.add_event(event)?;
            } else if event.status == Status::Firing {
                // Alertmanager sends its end too, after Prometheus stopped to send it.
                self.beat(event.received_at)?;
            }
        }
        Ok(())
    }

    fn add_event(&mut self, event: AlertEvent) -> anyhow::Result<()> {
        if self.states.is_new(&event) { self.keep(event) } else { Ok(()) }
    }

    fn keep(&mut self, event: AlertEvent) -> anyhow::Result<()> {
        append(&self.path, &event, &self.states)?;
        self.states.record(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn webhook(status: &str, starts_at: &str) -> WebhookBody {
        webhook_of("TargetDown", "6f1f", status, starts_at)
    }

    fn webhook_of(alert: &str, fingerprint: &str, status: &str, starts_at: &str) -> WebhookBody {
        serde_json::from_value(json!({
            "version": "4",
            "receiver": "pager",
            "alerts": [{
                "status": status,
                "labels": { "alertname": alert, "severity": "page", "service": "orders" },
                "annotations": { "summary": "No instance answers", "runbook_url": "docs/runbooks/TargetDown.md" },
                "startsAt": starts_at,
                "endsAt": if status == "resolved" { "2026-01-01T00:30:00Z" } else { "0001-01-01T00:00:00Z" },
                "fingerprint": fingerprint,
            }],
        }))
        .unwrap()
    }

    #[test]
    fn an_event_is_kept_once_across_repeated_webhooks_and_restarts() {
        let path = std::env::temp_dir().join(format!("muster-pages-{}.jsonl", std::process::id()));
        for _ in 0..2 {
            let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
            pages.add(&webhook("firing", "2026-01-01T00:00:00Z")).unwrap();
            pages.add(&webhook("firing", "2026-01-01T00:00:00Z")).unwrap();
            pages.add(&webhook("resolved", "2026-01-01T00:00:00Z")).unwrap();
            pages.add(&webhook("firing", "2026-01-01T01:00:00Z")).unwrap();
        }
        let kept = read(&path, 0).unwrap().0;
        fs::remove_file(&path).unwrap();
        let said: Vec<_> = kept.iter().map(|event| (event.status, event.ends_at.is_some())).collect();
        assert_eq!(said, [(Status::Firing, false), (Status::Resolved, true), (Status::Firing, false)]);
    }

    #[test]
    fn an_event_after_a_torn_line_is_kept() {
        let path = std::env::temp_dir().join(format!("muster-torn-{}.jsonl", std::process::id()));
        fs::write(&path, r#"{"received_at":"2026-01-0"#).unwrap();
        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&webhook("firing", "2026-01-01T00:00:00Z")).unwrap();
        let reopened = PageLog::open(path.clone(), Duration::MAX).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(reopened.states.open(), pages.states.open());
        assert_eq!(reopened.states.open().len(), 1);
    }

    #[test]
    fn a_full_file_is_rotated_and_keeps_the_open_alerts() {
        let path = std::env::temp_dir().join(format!("muster-full-{}.jsonl", std::process::id()));
        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&webhook("firing", "2026-01-01T00:00:00Z")).unwrap();
        let open = fs::read(&path).unwrap();
        fs::write(&path, open.repeat(5 * 1024 * 1024 / open.len())).unwrap();
        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&webhook_of("TargetDown", "7a2b", "firing", "2026-01-01T00:01:00Z")).unwrap();
        let (kept, size) = read(&path, 0).unwrap();
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("previous.jsonl")).unwrap();
        let open: Vec<_> = kept.iter().map(|event| event.fingerprint.as_str()).collect();
        assert_eq!(open, ["6f1f", "7a2b"]);
        assert!(size < 2_000, "{size}");
    }

    #[test]
    fn a_missing_heartbeat_is_one_page_that_the_next_heartbeat_resolves() {
        let path = std::env::temp_dir().join(format!("muster-heartbeat-{}.jsonl", std::process::id()));
        let heartbeat = webhook_of("Watchdog", "6f1f", "firing", "2026-01-01T00:00:00Z");

        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&heartbeat).unwrap();
        pages.report_absence().unwrap();
        assert!(pages.states.open().is_empty(), "a regular heartbeat is no event");

        for _ in 0..2 {
            let mut pages = PageLog::open(path.clone(), Duration::ZERO).unwrap();
            pages.report_absence().unwrap();
        }
        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&heartbeat).unwrap();
        pages.add(&heartbeat).unwrap();

        let kept = read(&path, 0).unwrap().0;
        fs::remove_file(&path).unwrap();
        let said: Vec<_> =
            kept.iter().map(|event| (event.alert.as_str(), event.severity.as_str(), event.status)).collect();
        assert_eq!(said, [("Watchdog", "page", Status::Firing), ("Watchdog", "page", Status::Resolved)]);
    }
}
