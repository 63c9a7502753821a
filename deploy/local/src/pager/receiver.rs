//! The end that Alertmanager calls.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;

use super::asking::{Sightings, firing_at};
use super::file::{append, read};
use super::heartbeat::{self, Heartbeat};
use super::notice::{Notice, Notification};
use super::told::Told;
use crate::console::complain;

/// The largest notification that is read.
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
    /// The file of notices.
    pub(crate) file: PathBuf,
    /// How long the heartbeat may stay away before that is a page.
    pub(crate) heartbeat_within: Duration,
    /// The URL of the Alertmanager that sends.
    pub(crate) alertmanager: String,
    /// How long an open alert has to be absent there before it has ended. Longer than Prometheus waits before it sends an alert again.
    pub(crate) absent_for: Duration,
}

/// The file, what it told, and the heartbeat.
struct Pages {
    path: PathBuf,
    told: Told,
    heartbeat: Heartbeat,
}

/// Takes notifications until a signal ends the program, writes a page when the heartbeat stays away, and what Alertmanager
/// does not tell.
pub(crate) async fn serve(settings: Settings) -> anyhow::Result<()> {
    let Settings { port, file, heartbeat_within, alertmanager, absent_for } = settings;
    let pages = web::Data::new(Mutex::new(Pages::open(file, heartbeat_within)?));
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

async fn watch_heartbeat(pages: &Mutex<Pages>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(HEARTBEAT_POLL).await;
        if let Err(error) = pages.lock().expect(LOCK).report_absence() {
            complain(format_args!("a page is not kept: {error:#}"));
        }
    }
}

/// Asks Alertmanager for as long as something is open, or may begin again without being told.
async fn watch_alertmanager(pages: &Mutex<Pages>, url: &str, absent_for: Duration) -> anyhow::Result<()> {
    let mut sightings = Sightings::new(absent_for);
    loop {
        tokio::time::sleep(absent_for / ANSWERS).await;
        let doubtful = pages.lock().expect(LOCK).doubtful();
        if doubtful.is_empty() {
            continue;
        }
        match firing_at(url).await {
            Ok(firing) => {
                let found = sightings.answered(&doubtful, &firing, Instant::now(), &now());
                if let Err(error) = pages.lock().expect(LOCK).add_all(found) {
                    complain(format_args!("what was found at Alertmanager is not kept: {error:#}"));
                }
            }
            Err(error) => {
                complain(format_args!("whether open pages still fire is not known: {error:#}"));
                sightings.unanswered();
            }
        }
    }
}

/// Why the lock of the pages is never poisoned.
const LOCK: &str = "no holder of this lock panics";

/// Alertmanager sends again whatever is not answered with success.
async fn receive(body: web::Json<Notification>, pages: web::Data<Mutex<Pages>>) -> HttpResponse {
    match pages.lock().expect(LOCK).add(&body) {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(error) => {
            complain(format_args!("a page is not kept: {error:#}"));
            HttpResponse::InternalServerError().finish()
        }
    }
}

impl Pages {
    fn open(path: PathBuf, heartbeat_within: Duration) -> anyhow::Result<Self> {
        let told = Told::of(read(&path, 0)?.0);
        let heartbeat = Heartbeat::new(heartbeat_within, &told);
        Ok(Self { path, told, heartbeat })
    }

    /// What Alertmanager has to be asked about: the absence of the heartbeat is our own page.
    fn doubtful(&self) -> Vec<Notice> {
        let doubtful = self.told.doubtful().into_iter();
        doubtful.filter(|notice| notice.alert != heartbeat::ALERT).cloned().collect()
    }

    fn report_absence(&mut self) -> anyhow::Result<()> {
        match self.heartbeat.absence(&now()) {
            Some(page) => self.keep(page),
            None => Ok(()),
        }
    }

    fn add(&mut self, notification: &Notification) -> anyhow::Result<()> {
        let now = now();
        for alert in &notification.alerts {
            let notice = Notice::new(alert, now.clone());
            if notice.alert == heartbeat::ALERT {
                self.heartbeat.beat(&notice).map_or(Ok(()), |ended| self.keep(ended))?;
            } else {
                self.add_notice(notice)?;
            }
        }
        Ok(())
    }

    fn add_all(&mut self, notices: Vec<Notice>) -> anyhow::Result<()> {
        notices.into_iter().try_for_each(|notice| self.add_notice(notice))
    }

    fn add_notice(&mut self, notice: Notice) -> anyhow::Result<()> {
        if self.told.is_news(&notice) { self.keep(notice) } else { Ok(()) }
    }

    fn keep(&mut self, notice: Notice) -> anyhow::Result<()> {
        append(&self.path, &notice, &self.told)?;
        self.told.record(notice);
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

    use super::super::notice::Status;
    use super::*;

    fn notification(status: &str, starts_at: &str) -> Notification {
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
            let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
            pages.add(&notification("firing", "2026-01-01T00:00:00Z")).unwrap();
            pages.add(&notification("firing", "2026-01-01T00:00:00Z")).unwrap();
            pages.add(&notification("resolved", "2026-01-01T00:00:00Z")).unwrap();
            pages.add(&notification("firing", "2026-01-01T01:00:00Z")).unwrap();
        }
        let kept = read(&path, 0).unwrap().0;
        fs::remove_file(&path).unwrap();
        let said: Vec<_> = kept.iter().map(|notice| (notice.status, notice.ends_at.is_some())).collect();
        assert_eq!(said, [(Status::Firing, false), (Status::Resolved, true), (Status::Firing, false)]);
    }

    #[test]
    fn a_notice_after_half_a_line_is_kept_and_shown() {
        let path = std::env::temp_dir().join(format!("muster-torn-{}.jsonl", std::process::id()));
        fs::write(&path, r#"{"received_at":"2026-01-0"#).unwrap();
        let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&notification("firing", "2026-01-01T00:00:00Z")).unwrap();
        let reopened = Pages::open(path.clone(), Duration::MAX).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(reopened.told.open(), pages.told.open());
        assert_eq!(reopened.told.open().len(), 1);
    }

    #[test]
    fn a_full_file_is_begun_anew_with_what_is_open() {
        let path = std::env::temp_dir().join(format!("muster-full-{}.jsonl", std::process::id()));
        let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&notification("firing", "2026-01-01T00:00:00Z")).unwrap();
        let open = fs::read(&path).unwrap();
        fs::write(&path, open.repeat(5 * 1024 * 1024 / open.len())).unwrap();
        let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
        let mut other = notification("firing", "2026-01-01T00:01:00Z");
        other.set_fingerprint("7a2b");
        pages.add(&other).unwrap();
        let (kept, size) = read(&path, 0).unwrap();
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("previous.jsonl")).unwrap();
        let open: Vec<_> = kept.iter().map(|notice| notice.fingerprint.as_str()).collect();
        assert_eq!(open, ["6f1f", "7a2b"]);
        assert!(size < 2_000, "{size}");
    }

    #[test]
    fn a_missing_heartbeat_is_one_page_until_the_next_heartbeat_resolves_it() {
        let path = std::env::temp_dir().join(format!("muster-heartbeat-{}.jsonl", std::process::id()));
        let mut heartbeat = notification("firing", "2026-01-01T00:00:00Z");
        heartbeat.rename("Watchdog");

        let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&heartbeat).unwrap();
        pages.report_absence().unwrap();
        assert!(pages.told.open().is_empty(), "a heartbeat that comes is no news");

        for _ in 0..2 {
            let mut pages = Pages::open(path.clone(), Duration::ZERO).unwrap();
            pages.report_absence().unwrap();
        }
        let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&heartbeat).unwrap();
        pages.add(&heartbeat).unwrap();

        let kept = read(&path, 0).unwrap().0;
        fs::remove_file(&path).unwrap();
        let said: Vec<_> = kept
            .iter()
            .map(|notice| (notice.alert.as_str(), notice.severity.as_str(), notice.status))
            .collect();
        assert_eq!(said, [("Watchdog", "page", Status::Firing), ("Watchdog", "page", Status::Resolved)]);
    }
}
