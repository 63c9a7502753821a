//! Errors are counted by code.

use api_error::Code;

use crate::fixture::Server;

/// The count of a code; nothing when it is not among the metrics.
fn counted(code: Code) -> Option<f64> {
    let families = prometheus::gather();
    let errors = families.iter().find(|family| family.name() == "http_errors_total")?;
    let of_code = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == code.as_str();
    Some(errors.get_metric().iter().find(of_code)?.get_counter().get_value())
}

#[actix_web::test]
async fn every_error_is_counted_by_its_code() {
    let server = Server::start();
    let send = async |code: Code| server.get(&format!("/codes/{code}")).send().await.unwrap();
    send(Code::Conflict).await;
    let before = counted(Code::UnknownSku).unwrap();
    for _ in 0..3 {
        send(Code::UnknownSku).await;
    }
    // Other tests of this process count, too.
    assert!(counted(Code::UnknownSku).unwrap() >= before + 3.0);
    for code in Code::ALL {
        assert!(counted(*code).is_some(), "{code}");
    }
}
