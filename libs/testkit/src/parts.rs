//! The parts of this test run, directories for tests, an HTTP client, and waiting for a condition.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use muster::Endpoints;
use reqwest::redirect;
use tls::Trust;
use tokio::time;
use uuid::Uuid;

/// The variable with the path of the endpoints file of `muster run`; tests put their files beside it.
const VARIABLE: &str = "MUSTER_TEST_PARTS";

static ENDPOINTS: LazyLock<Endpoints> = LazyLock::new(|| match Endpoints::from_env() {
    Ok(endpoints) => endpoints,
    Err(error) => {
        panic!("these tests need the parts of a test run: start them with `make test`: {error:#}")
    }
});

/// Returns the addresses of the parts of this run.
pub fn endpoints() -> &'static Endpoints {
    &ENDPOINTS
}

/// Creates an empty directory that no other test uses.
pub fn scratch_dir(name: &str) -> PathBuf {
    let directory = run_dir().join(unique(name, '-'));
    fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", directory.display()));
    directory
}

/// Makes an HTTP client with time limits, which does not follow redirects.
pub fn client() -> reqwest::Client {
    Trust::none()
        .http()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("the settings are valid")
}

/// Interval between two checks of a condition.
const POLL: Duration = Duration::from_millis(25);

/// Repeats `check` until it returns a value.
///
/// # Panics
/// The time is over; the message is "timeout after … while waiting for {what}".
pub async fn wait_for<T>(what: &str, timeout: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            time::sleep(POLL).await;
        }
    };
    let value = time::timeout(timeout, poll).await;
    value.unwrap_or_else(|_| panic!("timeout after {timeout:?} while waiting for {what}"))
}

/// Returns a unique name.
pub(crate) fn unique(name: &str, separator: char) -> String {
    let (random, ..) = Uuid::new_v4().as_fields();
    format!("{name}{separator}{random:08x}")
}

fn run_dir() -> PathBuf {
    let parts = env::var_os(VARIABLE)
        .unwrap_or_else(|| panic!("{VARIABLE} is not set: start tests with `make test`"));
    let directory = Path::new(&parts).parent().expect("a file is in a directory");
    directory.join("tests")
}
