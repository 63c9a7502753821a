//! Log lines of failures.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use actix_web::test::{TestRequest, init_service, try_call_service};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{Layer, Registry, layer::Context, layer::SubscriberExt as _};

use crate::fixture::{SECRET, app};

/// Keeps events of level error, as text.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut text = String::new();
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
                write!(text, "{field}={value:?} ").unwrap();
            });
            self.0.lock().unwrap().push(text);
        }
    }
}

#[actix_web::test]
async fn a_5xx_is_logged_once_with_its_cause_and_a_4xx_is_not() {
    let errors = Errors::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(errors.clone()));
    let app = init_service(app()).await;
    for path in ["/broken", "/panic", "/slow", "/nowhere", "/bare"] {
        // Panics and deadlines come back as errors here; a server turns them into responses.
        drop(try_call_service(&app, TestRequest::get().uri(path).to_request()).await);
    }
    let errors = errors.0.lock().unwrap();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("internal") && errors[0].contains(SECRET), "{errors:?}");
    assert!(errors[1].contains("panicked") && errors[1].contains(SECRET), "{errors:?}");
    assert!(errors[2].contains("deadline_exceeded") && errors[2].contains("800 ms"), "{errors:?}");
}
