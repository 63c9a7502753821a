//! `muster token`: concurrent processes in a checkout without a key.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use auth::Verifier;
use telemetry::Environment;

const AT_ONCE: usize = 12;

fn token(checkout: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_muster"))
        .current_dir(checkout)
        .args(["token", "--tenant", "acme", "--scope", "orders:write"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn concurrent_processes_sign_with_the_same_new_key() {
    let checkout = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tokens");
    for _ in 0..3 {
        fs::remove_dir_all(&checkout).unwrap_or_default();
        fs::create_dir_all(checkout.join("deploy/local")).unwrap();
        fs::write(checkout.join("deploy/local/pom.xml"), "").unwrap();

        let at_once: Vec<_> = (0..AT_ONCE).map(|_| token(&checkout)).collect();
        let outputs: Vec<_> = at_once.into_iter().map(|child| child.wait_with_output().unwrap()).collect();

        let verifier =
            Verifier::from_file(checkout.join(".muster/secrets/jwks.json"), Environment::Local).unwrap();
        for output in outputs {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let token = String::from_utf8(output.stdout).unwrap();
            assert!(verifier.verify(token.trim()).is_ok(), "a token of a key that another process replaced");
        }
        let left = fs::read_dir(checkout.join(".muster/secrets")).unwrap().map(|entry| entry.unwrap().path());
        let left: Vec<_> = left.filter(|path| path.extension().is_some_and(|found| found == "new")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
