//! The parts of this test run: where they are, and where a test may leave its files.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use muster::Endpoints;
use reqwest::redirect;
use tls::Trust;
use uuid::Uuid;

/// Names the file in which `muster run` says where the parts are; tests leave their own files beside it.
const VARIABLE: &str = "MUSTER_TEST_PARTS";

static ENDPOINTS: LazyLock<Endpoints> = LazyLock::new(|| match Endpoints::from_env() {
    Ok(endpoints) => endpoints,
    Err(error) => {
        panic!("these tests need the parts of a test run, so start them with `make test`: {error:#}")
    }
});

/// Returns where the parts of this run are.
pub fn endpoints() -> &'static Endpoints {
    &ENDPOINTS
}

/// Makes an empty directory that no other test uses.
pub fn scratch_dir(name: &str) -> PathBuf {
    let directory = run_dir().join(unique(name, '-'));
    fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", directory.display()));
    directory
}

/// Makes an HTTP client as tests want it: every wait is bounded, and a redirect is an answer, not an order.
pub fn client() -> reqwest::Client {
    Trust::nobody()
        .http()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(10))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("these settings need nothing from the machine")
}

/// Returns a name that no other test has.
pub(crate) fn unique(name: &str, separator: char) -> String {
    let (random, ..) = Uuid::new_v4().as_fields();
    format!("{name}{separator}{random:08x}")
}

fn run_dir() -> PathBuf {
    let parts = env::var_os(VARIABLE)
        .unwrap_or_else(|| panic!("{VARIABLE} is not set: start tests with `make test`"));
    let directory =
        Path::new(&parts).parent().expect("the variable names a file, and a file is in a directory");
    directory.join("tests")
}
