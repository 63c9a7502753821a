//! The other system: takes one key for one charge, as a payment provider does, and counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Data},
};
use serde_json::json;
use tokio::sync::watch;

/// What the bank does with a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Charge,
    Decline,
    /// Answers 500 without a charge.
    Fail,
    /// Charges, and does not answer calls that come now before the mode changes.
    Hold,
}

pub(crate) struct Bank {
    url: String,
    books: Arc<Mutex<Books>>,
    mode: watch::Sender<Mode>,
    server: ServerHandle,
}

#[derive(Default)]
struct Books {
    /// The key of each call.
    calls: Vec<String>,
    /// The charge of each key.
    charges: BTreeMap<String, String>,
}

impl Bank {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/charges", listener.local_addr().unwrap());
        let books = Arc::<Mutex<Books>>::default();
        let mode = watch::Sender::new(Mode::Charge);
        let (book_data, mode_data) = (Data::from(Arc::clone(&books)), Data::new(mode.clone()));
        let server = HttpServer::new(move || {
            let app = App::new().app_data(book_data.clone()).app_data(mode_data.clone());
            app.route("/charges", web::post().to(charge))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, books, mode, server: handle }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(crate) fn calls(&self) -> usize {
        self.books.lock().unwrap().calls.len()
    }

    /// How many different keys were in those calls.
    pub(crate) fn keys(&self) -> usize {
        self.books.lock().unwrap().calls.iter().collect::<BTreeSet<_>>().len()
    }

    pub(crate) fn charges(&self) -> usize {
        self.books.lock().unwrap().charges.len()
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        // Takes effect without being awaited.
        drop(self.server.stop(false));
    }
}

async fn charge(
    request: HttpRequest,
    books: Data<Mutex<Books>>,
    mode: Data<watch::Sender<Mode>>,
) -> HttpResponse {
    let key = request.headers().get("idempotency-key").unwrap().to_str().unwrap().to_owned();
    let mut mode = mode.subscribe();
    let now = *mode.borrow_and_update();
    let id = {
        let mut books = books.lock().unwrap();
        books.calls.push(key.clone());
        match now {
            Mode::Fail => return HttpResponse::InternalServerError().finish(),
            Mode::Decline => return HttpResponse::Ok().json(json!({ "id": null })),
            Mode::Charge | Mode::Hold => {
                let next = format!("charge-{}", books.charges.len());
                books.charges.entry(key).or_insert(next).clone()
            }
        }
    };
    if now == Mode::Hold {
        // The bank closing is an end of the wait, too.
        drop(mode.changed().await);
    }
    HttpResponse::Ok().json(json!({ "id": id }))
}
