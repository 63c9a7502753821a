//! The compose file beside the images: nothing runs it here, so at least what can be seen without Docker has to be right.

use std::collections::BTreeSet;

use serde_norway::Value;

use crate::{
    manifests::{SERVICES, directory},
    settings::{known_to, needed_by, secret_settings},
};

fn services() -> Value {
    let text = std::fs::read_to_string(directory().join("../images/compose.yaml")).unwrap();
    let mut compose: Value = serde_norway::from_str(&text).unwrap();
    compose.apply_merge().unwrap();
    compose["services"].clone()
}

#[test]
fn every_image_is_one_version() {
    let services = services();
    for (name, service) in services.as_mapping().unwrap() {
        let image = service["image"].as_str().unwrap();
        let tag = image.rsplit_once('/').unwrap().1.split_once(':').unwrap().1;
        assert!(tag.contains('.'), "{name:?}: {image} is no version");
    }
}

#[test]
fn every_setting_is_one_that_the_service_knows() {
    let services = services();
    for name in SERVICES {
        let known = known_to(name);
        for setting in services[name]["environment"].as_mapping().unwrap().keys() {
            let setting = setting.as_str().unwrap();
            assert!(
                known.contains(setting) || setting.starts_with("OTEL_"),
                "{name}: the service has no setting {setting}"
            );
        }
    }
}

#[test]
fn no_required_setting_is_missing() {
    let services = services();
    for name in SERVICES {
        let given: BTreeSet<String> = services[name]["environment"]
            .as_mapping()
            .unwrap()
            .keys()
            .map(|setting| setting.as_str().unwrap().to_owned())
            .chain(secret_settings(name))
            .collect();
        let missing: Vec<_> = needed_by(name).difference(&given).cloned().collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn every_mounted_file_exists_or_is_made_with_the_secrets() {
    let services = services();
    let volumes =
        services.as_mapping().unwrap().values().filter_map(|it| it["volumes"].as_sequence()).flatten();
    let sources: Vec<_> = volumes.filter_map(|volume| volume.as_str().unwrap().split(':').next()).collect();
    let files: Vec<_> = sources.iter().filter(|source| source.starts_with('.')).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let is_secret = file.starts_with("../../.muster/compose/");
        assert!(is_secret || directory().join("../images").join(file).exists(), "{file} is not there");
    }
}

#[test]
fn compose_services_have_no_more_rights_than_in_a_cluster() {
    let services = services();
    for name in SERVICES {
        let service = &services[name];
        assert_eq!(service["read_only"].as_bool(), Some(true), "{name}");
        assert_eq!(service["user"].as_str(), Some("65532:65532"), "{name}");
        assert_eq!(service["cap_drop"][0].as_str(), Some("ALL"), "{name}");
    }
}
