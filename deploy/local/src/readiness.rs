//! Readiness probes: repeated requests in the protocol of a part.

use std::{future::Future, sync::OnceLock, time::Duration};

use anyhow::{Context, anyhow, bail};
use tls::Trust;
use tokio::time::{Instant, sleep, timeout};

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats `attempt` until it succeeds; after `deadline`, returns the last error.
pub(crate) async fn until_ok<T, F>(deadline: Duration, attempt: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        let late = |_| Err(anyhow!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()));
        match timeout(ATTEMPT_TIMEOUT, attempt()).await.unwrap_or_else(late) {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= end => {
                return Err(error.context(format!("not ready after {} s", deadline.as_secs())));
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Succeeds if a GET of `url` returns a 2xx status.
pub(crate) async fn http_ok(url: &str) -> anyhow::Result<()> {
    let response = http_client().get(url).send().await.context("no answer over HTTP")?;
    let status = response.status();
    if !status.is_success() {
        let body = response.text().await.unwrap_or_default();
        bail!("GET {url} answers {status}: {}", body.trim());
    }
    Ok(())
}

/// Idle timeout of pooled connections: shorter than the shutdown delay of a service (`SHUTDOWN_DELAY_MS` in a cluster), so that a service
/// does not close a connection that is about to carry a request.
const IDLE: Duration = Duration::from_secs(3);

/// The HTTP client of this program: without proxy, because every server is on this machine or in the same cluster, and with timeouts.
pub(crate) fn http_client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        Trust::none()
            .http()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(IDLE)
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(10))
            .build()
            .expect("nothing in these settings depends on the machine")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn attempts_continue_until_one_succeeds() {
        let attempts = AtomicU32::new(0);
        let third =
            until_ok(Duration::from_secs(5), async || match attempts.fetch_add(1, Ordering::Relaxed) {
                2 => Ok("ready"),
                _ => Err(anyhow!("not yet")),
            })
            .await
            .unwrap();
        assert_eq!(third, "ready");
    }

    #[tokio::test]
    async fn the_error_after_the_deadline_contains_the_last_failure() {
        let error =
            until_ok(Duration::ZERO, async || Err::<(), _>(anyhow!("password refused"))).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "not ready after 0 s: password refused");
    }
}
