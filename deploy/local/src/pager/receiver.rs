//! The end that Alertmanager calls.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;

use super::heartbeat::{self, Heartbeat};
use super::notice::{Notice, Notification};
use super::screen::read;
use crate::console::complain;

/// The largest notification that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// How large the file may become; a notice is about one kilobyte.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// How many notices are remembered to recognise repetitions.
const MEMORY: usize = 1_000;

/// How many senders may be connected at once.
const CONNECTION_LIMIT: usize = 16;

/// How often the heartbeat is looked at.
const HEARTBEAT_POLL: Duration = Duration::from_secs(1);

/// The file, the end of it, and the heartbeat.
struct Pages {
    path: PathBuf,
    known: Vec<Notice>,
    heartbeat: Heartbeat,
}

/// Takes notifications on `port` of the loopback interface until a signal ends the program, and writes a page when no heartbeat
/// came for as long as `heartbeat_within`.
pub(crate) async fn serve(port: u16, path: PathBuf, heartbeat_within: Duration) -> anyhow::Result<()> {
    let pages = web::Data::new(Mutex::new(Pages::open(path, heartbeat_within)?));
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
    }
}

async fn watch_heartbeat(pages: &Mutex<Pages>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(HEARTBEAT_POLL).await;
        if let Err(error) = pages.lock().expect("no holder of this lock panics").report_absence() {
            complain(format_args!("a page is not kept: {error:#}"));
        }
    }
}

/// Alertmanager sends again whatever is not answered with success.
async fn receive(body: web::Json<Notification>, pages: web::Data<Mutex<Pages>>) -> HttpResponse {
    let mut pages = pages.lock().expect("no holder of this lock panics");
    match pages.add(&body) {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(error) => {
            complain(format_args!("a page is not kept: {error:#}"));
            HttpResponse::InternalServerError().finish()
        }
    }
}

impl Pages {
    fn open(path: PathBuf, heartbeat_within: Duration) -> anyhow::Result<Self> {
        let known = read(&path, 0)?.0;
        let heartbeat = Heartbeat::new(heartbeat_within, &known);
        Ok(Self { path, known, heartbeat })
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
            } else if !self.known.iter().any(|known| notice.repeats(known)) {
                self.keep(notice)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, notice: Notice) -> anyhow::Result<()> {
        append(&self.path, &notice)?;
        self.known.push(notice);
        let n_forgotten = self.known.len().saturating_sub(MEMORY);
        self.known.drain(..n_forgotten);
        Ok(())
    }
}

fn append(path: &Path, notice: &Notice) -> anyhow::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > FILE_LIMIT) {
        fs::rename(path, path.with_extension("previous.jsonl")).context("the full file stays")?;
    }
    let mut line = serde_json::to_vec(notice).context("a notice is JSON")?;
    line.push(b'\n');
    let mut file =
        File::options().create(true).read(true).append(true).open(path).context("the file of pages")?;
    if ends_in_half_a_line(&mut file).context("the file of pages")? {
        line.insert(0, b'\n');
    }
    file.write_all(&line).context("the file of pages")
}

/// A process that was killed while it wrote leaves half a line; the next notice must not become its other half.
fn ends_in_half_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn now() -> String {
    let now: chrono::DateTime<chrono::Utc> = SystemTime::now().into();
    now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
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
                "endsAt": "0001-01-01T00:00:00Z",
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
        assert_eq!(reopened.known, pages.known);
        assert_eq!(reopened.known.len(), 1);
    }

    #[test]
    fn a_missing_heartbeat_is_one_page_until_the_next_heartbeat_resolves_it() {
        let path = std::env::temp_dir().join(format!("muster-heartbeat-{}.jsonl", std::process::id()));
        let mut heartbeat = notification("firing", "2026-01-01T00:00:00Z");
        heartbeat.rename("Watchdog");

        let mut pages = Pages::open(path.clone(), Duration::MAX).unwrap();
        pages.add(&heartbeat).unwrap();
        pages.report_absence().unwrap();
        assert!(pages.known.is_empty(), "a heartbeat that comes is no news: {:?}", pages.known);

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
