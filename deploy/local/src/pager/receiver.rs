//! The webhook receiver that Alertmanager calls.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;

use super::event::{AlertEvent, WebhookBody};
use super::file::{append, read};
use super::heartbeat::{self, Heartbeat};
use super::reconcile::{Reconciler, firing_at};
use super::states::AlertStates;
use crate::console::print_error;

/// The largest webhook that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// How many senders may be connected at once.
const CONNECTION_LIMIT: usize = 16;

/// How often the heartbeat is looked at.
const HEARTBEAT_POLL: Duration = Duration::from_secs(1);

/// How many times Alertmanager is asked before an absent alert has ended.
const ANSWERS: u32 = 6;

/// What a pager needs to know.
pub(crate) struct Settings {
    /// The port on the loopback interface.
    pub(crate) port: u16,
    /// The file of events.
    pub(crate) file: PathBuf,
    /// How long the heartbeat may stay away before that is a page.
    pub(crate) heartbeat_within: Duration,
    /// The URL of the Alertmanager that sends.
    pub(crate) alertmanager: String,
    /// How long an open alert has to be absent there before it has ended. Longer than Prometheus waits before it sends an alert again.
    pub(crate) absent_for: Duration,
}

/// The file of events, the state of each alert, and the heartbeat.
struct PageLog {
    path: PathBuf,
    states: AlertStates,
    heartbeat: Heartbeat,
}

/// Takes notifications until a signal ends the program, writes a page when the heartbeat stays away, and what Alertmanager
/// does not tell.
pub(crate) async fn serve(settings: Settings) -> anyhow::Result<()> {
    let Settings { port, file, heartbeat_within, alertmanager, absent_for } = settings;
    let pages = web::Data::new(Mutex::new(PageLog::open(file, heartbeat_within)?));
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
            print_error(format_args!("a page is not kept: {error:#}"));
        }
    }
}

/// Asks Alertmanager as long as an alert is open, or may fire again without a notification.
async fn watch_alertmanager(pages: &Mutex<PageLog>, url: &str, absent_for: Duration) -> anyhow::Result<()> {
    let mut reconciler = Reconciler::new(absent_for);
    loop {
        tokio::time::sleep(absent_for / ANSWERS).await;
        let unconfirmed = pages.lock().expect(LOCK).unconfirmed();
        if unconfirmed.is_empty() {
            continue;
        }
        match firing_at(url).await {
            Ok(firing) => {
                let found = reconciler.answered(&unconfirmed, &firing, Instant::now(), &now());
                if let Err(error) = pages.lock().expect(LOCK).add_all(found) {
                    print_error(format_args!("what was found at Alertmanager is not kept: {error:#}"));
                }
            }
            Err(error) => {
                print_error(format_args!("whether open pages still fire is not known: {error:#}"));
                reconciler.unanswered();
            }
        }
    }
}

/// Why the lock of the pages is never poisoned.
const LOCK: &str = "no holder of this lock panics";

/// Alertmanager sends again whatever is not answered with success.
async fn receive(body: web::Json<WebhookBody>, pages: web::Data<Mutex<PageLog>>) -> HttpResponse {
    match pages.lock().expect(LOCK).add(&body) {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(error) => {
            print_error(format_args!("a page is not kept: {error:#}"));
            HttpResponse::InternalServerError().finish()
        }
    }
}

impl PageLog {
    fn open(path: PathBuf, heartbeat_within: Duration) -> anyhow::Result<Self> {
        let states = AlertStates::of(read(&path, 0)?.0);
        let heartbeat = Heartbeat::new(heartbeat_within, &states);
        Ok(Self { path, states, heartbeat })
    }

    /// What Alertmanager has to be asked about: the absence of the heartbeat is our own page.
    fn unconfirmed(&self) -> Vec<AlertEvent> {
        let unconfirmed = self.states.unconfirmed().into_iter();
        unconfirmed.filter(|event| event.alert != heartbeat::ALERT).cloned().collect()
    }

    fn report_absence(&mut self) -> anyhow::Result<()> {
        match self.heartbeat.absence(&now()) {
            Some(page) => self.keep(page),
            None => Ok(()),
        }
    }

    fn add(&mut self, webhook: &WebhookBody) -> anyhow::Result<()> {
        let now = now();
        for alert in &webhook.alerts {
            let event = AlertEvent::new(alert, now.clone());
            if event.alert == heartbeat::ALERT {
                self.heartbeat.beat(&event).map_or(Ok(()), |ended| self.keep(ended))?;
            } else {
                self.add_event(event)?;
            }
        }
        Ok(())
    }

    fn add_all(&mut self, events: Vec<AlertEvent>) -> anyhow::Result<()> {
        events.into_iter().try_for_each(|event| self.add_event(event))
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

fn now() -> String {
    let now: chrono::DateTime<chrono::Utc> = SystemTime::now().into();
    now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::super::event::Status;
    use super::*;

    fn webhook(status: &str, starts_at: &str) -> WebhookBody {
        serde_json::from_value(json!({
            "version": "4",
            "receiver": "pager",
            "alerts": [{
                "status": status,
                "labels": { "alertname": "TargetDown", "severity": "page", "service": "orders" },
                "annotations": { "summary": "No instance answers", "runbook_url": "docs/runbooks/TargetDown.md" },
                "startsAt": starts_at,
                "endsAt": if status == "resolved" { "2026-01-01T00:30:00Z" } else { "0001-01-01T00:00:00Z" },
                "fingerprint": "6f1f",
            }],
        }))
        .unwrap()
    }

    #[test]
    fn a_notice_is_kept_once_however_often_it_is_sent_and_whoever_restarts() {
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
    fn a_notice_after_half_a_line_is_kept_and_shown() {
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
    fn a_full_file_is_begun_anew_with_what_is_open() {
        let path = std::env::temp_dir().join(format!("muster-full-{}.jsonl", std::process::id()));
        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&webhook("firing", "2026-01-01T00:00:00Z")).unwrap();
        let open = fs::read(&path).unwrap();
        fs::write(&path, open.repeat(5 * 1024 * 1024 / open.len())).unwrap();
        let mut pages = PageLog::open(path.clone(), Duration::MAX).unwrap();
        let mut other = webhook("firing", "2026-01-01T00:01:00Z");
        other.set_fingerprint("7a2b");
        pages.add(&other).unwrap();
        let (kept, size) = read(&path, 0).unwrap();
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("previous.jsonl")).unwrap();
        let open: Vec<_> = kept.iter().map(|event| event.fingerprint.as_str()).collect();
        assert_eq!(open, ["6f1f", "7a2b"]);
        assert!(size < 2_000, "{size}");
    }

    #[test]
    fn a_missing_heartbeat_is_one_page_until_the_next_heartbeat_resolves_it() {
        let path = std::env::temp_dir().join(format!("muster-heartbeat-{}.jsonl", std::process::id()));
        let mut heartbeat = webhook("firing", "2026-01-01T00:00:00Z");
        heartbeat.rename("Watchdog");

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
