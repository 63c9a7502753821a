//! Log lines of failures.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
};

use actix_web::test::{TestRequest, init_service, try_call_service};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{Layer, Registry, layer::Context, layer::SubscriberExt as _};

use crate::fixture::{SECRET, app};

/// Keeps events of level error of one thread, as text.
#[derive(Clone)]
struct Errors {
    thread: ThreadId,
    texts: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR && thread::current().id() == self.thread {
            let mut text = String::new();
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
                write!(text, "{field}={value:?} ").unwrap();
            });
            self.texts.lock().unwrap().push(text);
        }
    }
}

#[actix_web::test]
async fn a_5xx_is_logged_once_with_its_cause_and_a_4xx_is_not() {
    let errors = Errors { thread: thread::current().id(), texts: Arc::default() };
    // For all threads: with a single subscriber that belongs to one thread, tracing-core 0.1.36 disables each event that another thread
    // meets first.
    tracing::subscriber::set_global_default(Registry::default().with(errors.clone())).unwrap();
    let app = init_service(app()).await;
    for path in ["/broken", "/panic", "/slow", "/nowhere", "/bare"] {
        // Panics and deadlines come back as errors here; a server turns them into responses.
        drop(try_call_service(&app, TestRequest::get().uri(path).to_request()).await);
    }
    let errors = errors.texts.lock().unwrap();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("internal") && errors[0].contains(SECRET), "{errors:?}");
    assert!(errors[1].contains("panicked") && errors[1].contains(SECRET), "{errors:?}");
    assert!(errors[2].contains("deadline_exceeded") && errors[2].contains("800 ms"), "{errors:?}");
}
