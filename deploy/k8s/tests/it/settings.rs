//! A setting that the service does not know would be ignored in silence.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use manifests::{SERVICES, rendered};

/// The programs are other packages', so cargo does not build them for these tests.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().unwrap().parent().unwrap().join(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

/// The variables that a service reads, as its help lists them.
fn known_to(service: &str) -> BTreeSet<String> {
    let output = Command::new(program(service)).arg("--help").env_clear().output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next()).map(str::to_owned).collect()
}

#[test]
fn every_setting_is_one_that_the_service_knows() {
    for service in SERVICES {
        let known = known_to(service);
        assert!(known.contains("ADMIN_ADDR"), "{known:?}");
        for manifest in rendered().unwrap() {
            let map = manifest
                .of_kind("ConfigMap")
                .find(|map| map["data"].get("ADMIN_ADDR").is_some() && is_of(map, service))
                .unwrap();
            for name in map["data"].as_object().unwrap().keys() {
                // Those of the specification are read by OpenTelemetry's SDK.
                let is_known = known.contains(name) || name.starts_with("OTEL_");
                assert!(is_known, "{} {service}: nobody reads {name}", manifest.overlay);
            }
        }
    }
}

fn is_of(map: &serde_json::Value, service: &str) -> bool {
    map["metadata"]["name"].as_str().unwrap().starts_with(service)
}
