//! Waiting for a condition, which is the only kind of waiting that tests do.

use std::time::Duration;

use tokio::time;

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(25);

/// Looks again and again until there is something to see, and returns it.
///
/// # Panics
/// When the time is over: with `what`, which should complete the sentence "waited in vain for …".
pub async fn wait_for<T>(what: &str, timeout: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            time::sleep(POLL).await;
        }
    };
    let Ok(seen) = time::timeout(timeout, looking).await else {
        panic!("waited in vain for {what}, {timeout:?} long");
    };
    seen
}
