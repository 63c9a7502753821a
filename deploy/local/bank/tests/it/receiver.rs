//! A receiver of webhooks: a client of the bank, with a server of its own.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode, web};
use chrono::{DateTime, Utc};
use serde_json::Value;
use testkit::wait_for;
use webhook::{Headers, Keys};

use crate::bank::{SOON, WEBHOOK_KEY};

/// A running receiver. It ends with the runtime of its test.
pub(crate) struct Receiver {
    pub(crate) address: String,
    inbox: Arc<Mutex<Inbox>>,
}

struct Inbox {
    /// Statuses of the next answers. When none is left, a webhook is acknowledged with 204.
    answers: Vec<u16>,
    received: Vec<Webhook>,
}

/// A webhook that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
    pub(crate) at: DateTime<Utc>,
}

impl Webhook {
    pub(crate) fn headers(&self) -> Headers<'_> {
        Headers { id: &self.id, timestamp: &self.timestamp, signature: &self.signature }
    }
}

impl Receiver {
    /// Starts a receiver that acknowledges each webhook.
    pub(crate) fn start() -> Self {
        Self::answering(&[])
    }

    /// Starts a receiver that answers with these statuses, and then acknowledges.
    pub(crate) fn answering(answers: &[u16]) -> Self {
        let answers = answers.iter().rev().copied().collect();
        let inbox = Arc::new(Mutex::new(Inbox { answers, received: Vec::new() }));
        let shared = web::Data::from(Arc::clone(&inbox));
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).route("/webhooks", web::post().to(receive))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0].to_string();
        tokio::spawn(server.run());
        Self { address, inbox }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    /// Waits until this number of webhooks has arrived, and returns all. Each must be signed.
    pub(crate) async fn webhooks(&self, n: usize) -> Vec<Webhook> {
        let what = format!("{n} webhooks");
        let received = wait_for(&what, SOON, async || {
            let received = self.inbox.lock().unwrap().received.clone();
            (received.len() >= n).then_some(received)
        })
        .await;
        let keys = Keys::parse(WEBHOOK_KEY).unwrap();
        for webhook in &received {
            assert_eq!(keys.verify(&webhook.headers(), &webhook.raw, webhook.at), Ok(()), "{webhook:?}");
        }
        received
    }
}

async fn receive(request: HttpRequest, raw: web::Bytes, inbox: web::Data<Mutex<Inbox>>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap();
    let headers = Headers::read(|name| Some(header(name))).unwrap();
    assert_eq!(header("content-type"), "application/json");
    let webhook = Webhook {
        id: headers.id.to_owned(),
        timestamp: headers.timestamp.to_owned(),
        signature: headers.signature.to_owned(),
        body: serde_json::from_slice(&raw).unwrap(),
        raw: raw.to_vec(),
        at: Utc::now(),
    };
    let mut inbox = inbox.lock().unwrap();
    inbox.received.push(webhook);
    let status = inbox.answers.pop().map_or(StatusCode::NO_CONTENT, |status| status.try_into().unwrap());
    HttpResponse::build(status).finish()
}
