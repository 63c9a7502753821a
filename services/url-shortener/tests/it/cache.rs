//! Cached redirects: their maximum age, and their invalidation.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::{Database, FaultProxy, Process, wait_for};

use crate::service::{Answer, Service, send};

const OLD: &str = "https://old.example/";
const NEW: &str = "https://new.example/";

/// The default of `LINKS_CACHE_MAX_AGE_MS`.
const MAX_AGE: Duration = Duration::from_secs(2);

const SOON: Duration = Duration::from_secs(90);

/// So long that during a test only an invalidation removes an entry.
const A_MINUTE: &str = "60000";

/// Makes the database assign this code to the next link.
async fn next_code_is(service: &Service, code: &str) {
    let trigger = format!(
        "CREATE FUNCTION choose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.code := '{code}'; RETURN NEW; END $$;
         CREATE TRIGGER choose BEFORE INSERT ON links FOR EACH ROW EXECUTE FUNCTION choose()"
    );
    service.database.connect().await.batch_execute(&trigger).await.unwrap();
}

async fn follow_at(service: &Service, replica: &Process, code: &str) -> Answer {
    send(service.http.get(format!("{}/{code}", replica.http_url()))).await
}

async fn put_at(service: &Service, replica: &Process, code: &str, target: &str) -> Answer {
    let request = service.http.put(format!("{}/v1/links/{code}", replica.http_url()));
    send(request.bearer_auth(service.token("acme", &["links:write"])).json(&json!({"target": target}))).await
}

#[tokio::test]
async fn during_an_outage_cached_redirects_work_for_the_maximum_age() {
    let proxy = FaultProxy::start(Database::server()).await;
    let database = Database::create("url_shortener").await;
    let url = database.url_through(proxy.addr());
    let service = Service::start_with(database, |process| process.env("DATABASE_URL", url)).await;
    service.put("acme", "popular", OLD).await;

    let read_after = Instant::now();
    assert_eq!(service.follow("popular").await.status, StatusCode::FOUND);
    proxy.cut();
    let cut_at = Instant::now();

    let mut n_followed = 0;
    wait_for("the end of redirects", SOON, async || {
        let asked_at = Instant::now();
        let answer = service.follow("popular").await;
        if answer.status == StatusCode::FOUND {
            assert!(asked_at < cut_at + MAX_AGE, "nothing can have been read after the cut");
            n_followed += 1;
            return None;
        }
        answer.assert_unavailable();
        assert!(read_after.elapsed() >= MAX_AGE, "what was read is not too old yet");
        Some(())
    })
    .await;
    assert!(n_followed > 0);

    proxy.restore();
    wait_for("redirects again", SOON, async || {
        (service.follow("popular").await.status == StatusCode::FOUND).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_replica_redirects_to_a_changed_target_within_the_maximum_age() {
    let service = Service::start().await;
    let replica = service.replica().await;
    service.put("acme", "moving", OLD).await;
    for followed in [service.follow("moving").await, follow_at(&service, &replica, "moving").await] {
        assert_eq!(followed.header("location"), OLD);
    }

    service.put("acme", "moving", NEW).await;
    let changed_at = Instant::now();
    assert_eq!(
        service.follow("moving").await.header("location"),
        NEW,
        "the replica that changed it knows at once"
    );

    wait_for("the other replica to lead to the new target", SOON, async || {
        let asked_at = Instant::now();
        let followed = follow_at(&service, &replica, "moving").await;
        let is_old = followed.header("location") == OLD;
        assert!(
            !is_old || asked_at < changed_at + MAX_AGE,
            "this was changed {:?} ago",
            changed_at.elapsed()
        );
        (followed.header("location") == NEW).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_put_invalidates_the_cache_even_if_it_changes_nothing() {
    let service = Service::start_with_env("LINKS_CACHE_MAX_AGE_MS", A_MINUTE).await;
    let replica = service.replica().await;
    service.put("acme", "moving", OLD).await;
    assert_eq!(service.follow("moving").await.header("location"), OLD);

    let changed = put_at(&service, &replica, "moving", NEW).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!(
        service.follow("moving").await.header("location"),
        OLD,
        "this test needs the old target in memory"
    );

    // Like a client that retries on another replica after the first one died before its response.
    let unchanged = service.put("acme", "moving", NEW).await;
    assert_eq!(unchanged.body["updated_at"], changed.body["updated_at"]);
    assert_eq!(service.follow("moving").await.header("location"), NEW);
}

#[tokio::test]
async fn a_cached_404_ends_when_the_link_is_created() {
    let service = Service::start_with_env("LINKS_CACHE_ABSENT_MAX_AGE_MS", A_MINUTE).await;
    for _ in 0..2 {
        service.follow("made-by-post").await.assert_error(404, "not_found");
        service.follow("made-by-put").await.assert_error(404, "not_found");
    }
    assert!(service.metric(r#"cache_requests_total{cache="targets",outcome="negative_hit"}"#).await >= 2.0);

    service.put("acme", "made-by-put", NEW).await;
    next_code_is(&service, "made-by-post").await;
    let posted = service.post("key", NEW).await;

    assert_eq!(posted.body["code"], "made-by-post", "{posted:?}");
    for code in ["made-by-put", "made-by-post"] {
        assert_eq!(service.follow(code).await.header("location"), NEW);
    }
}

#[tokio::test]
async fn a_replayed_post_invalidates_the_cache() {
    let service = Service::start_with_env("LINKS_CACHE_ABSENT_MAX_AGE_MS", A_MINUTE).await;
    let replica = service.replica().await;
    service.follow("made-there").await.assert_error(404, "not_found");
    next_code_is(&service, "made-there").await;
    let post = |url: String| {
        let request =
            service.http.request(Method::POST, format!("{url}/v1/links")).header("Idempotency-Key", "key");
        send(request.bearer_auth(service.token("acme", &["links:write"])).json(&json!({"target": NEW})))
    };
    let made = post(replica.http_url()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    service.follow("made-there").await.assert_error(404, "not_found");

    let replayed = post(service.process.http_url()).await;

    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(service.follow("made-there").await.header("location"), NEW);
}
