//! A setting that the service does not know would be ignored in silence.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use serde_json::Value;

use crate::manifests::{Manifest, SERVICES, directory, rendered};

/// The programs are other packages', so cargo does not build them for these tests.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().unwrap().parent().unwrap().join(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

fn help(service: &str) -> String {
    let output = Command::new(program(service)).arg("--help").env_clear().output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The variables that a service reads, as its help lists them.
pub(crate) fn known_to(service: &str) -> BTreeSet<String> {
    let help = help(service);
    help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next()).map(str::to_owned).collect()
}

/// The variables without which a service does not start: its usage names the options that are not optional.
pub(crate) fn needed_by(service: &str) -> BTreeSet<String> {
    let help = help(service);
    let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap();
    let options = usage.split_whitespace().filter_map(|word| word.strip_prefix("--"));
    options.map(|option| option.replace('-', "_").to_uppercase()).collect()
}

/// The settings in the Secret with the service's name, as the documentation lists them.
pub(crate) fn secret_settings(service: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(directory().join("../../docs/kubernetes.md")).unwrap();
    let row = text.lines().find_map(|line| line.strip_prefix(&format!("| `{service}` |"))).unwrap();
    let is_setting = |it: &&str| it.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    row.split('`').skip(1).step_by(2).filter(is_setting).map(str::to_owned).collect()
}

/// The settings of a service that are not secret, as `ConfigMap`s.
fn maps<'a>(manifest: &'a Manifest, service: &str) -> impl Iterator<Item = &'a Value> {
    let maps = manifest.of_kind("ConfigMap").filter(|map| map["data"].get("ADMIN_ADDR").is_some());
    maps.filter(move |map| map["metadata"]["name"].as_str().unwrap().starts_with(service))
}

/// Their names.
fn settings<'a>(manifest: &'a Manifest, service: &str) -> impl Iterator<Item = &'a String> {
    maps(manifest, service).flat_map(|map| map["data"].as_object().unwrap().keys())
}

/// The value of a setting: as the overlay says, or the default of the service.
pub(crate) fn value(manifest: &Manifest, service: &str, setting: &str) -> String {
    let given = maps(manifest, service).find_map(|map| map["data"][setting].as_str());
    given.map_or_else(|| default(service, setting), str::to_owned)
}

fn default(service: &str, setting: &str) -> String {
    let help = help(service);
    let (_, rest) = help.split_once(&format!("[env: {setting}=")).unwrap();
    let (_, default) = rest.split_once("[default: ").unwrap();
    default.split(']').next().unwrap().to_owned()
}

/// The settings in the first column of a document's tables.
fn documented(path: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(directory().join("../..").join(path)).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let names = cells.flat_map(|cell| cell.split("`, `").map(|name| name.trim_end_matches('`')));
    names.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).map(str::to_owned).collect()
}

#[test]
fn every_setting_is_documented_and_every_documented_setting_is_read() {
    let shared = documented("docs/settings.md");
    let mut known_to_any = BTreeSet::new();
    for service in SERVICES {
        let readme = format!("services/{service}/README.md");
        let (known, own) = (known_to(service), documented(&readme));
        let missing: Vec<_> =
            known.iter().filter(|name| !own.contains(*name) && !shared.contains(*name)).collect();
        assert!(missing.is_empty(), "neither docs/settings.md nor {readme} has {missing:?}");
        let unknown: Vec<_> = own.difference(&known).collect();
        assert!(unknown.is_empty(), "{readme}: {service} does not read {unknown:?}");
        known_to_any.extend(known);
    }
    let unknown = shared.difference(&known_to_any).filter(|name| !name.starts_with("OTEL_"));
    assert_eq!(
        unknown.collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "docs/settings.md: no service reads these"
    );
}

#[test]
fn every_setting_is_one_that_the_service_knows() {
    for service in SERVICES {
        let known = known_to(service);
        assert!(known.contains("ADMIN_ADDR"), "{known:?}");
        for manifest in rendered().unwrap() {
            for name in settings(&manifest, service).chain(&secret_settings(service)) {
                // Those of the specification are read by OpenTelemetry's SDK.
                let is_known = known.contains(name) || name.starts_with("OTEL_");
                assert!(is_known, "{} {service}: the service has no setting {name}", manifest.overlay);
            }
        }
    }
}

#[test]
fn no_required_setting_is_missing() {
    for service in SERVICES {
        let needed = needed_by(service);
        assert!(needed.contains("DATABASE_URL"), "{needed:?}");
        for manifest in rendered().unwrap() {
            let given: BTreeSet<_> =
                settings(&manifest, service).cloned().chain(secret_settings(service)).collect();
            let missing: Vec<_> = needed.difference(&given).collect();
            assert!(missing.is_empty(), "{} {service}: {missing:?}", manifest.overlay);
        }
    }
}

/// Mails carry addresses and links that are as good as a login.
#[test]
fn production_sends_mail_over_tls_with_a_password_from_a_secret() {
    let manifests = rendered().unwrap();
    let production = manifests.iter().find(|manifest| manifest.overlay == "production").unwrap();
    let maps = production.of_kind("ConfigMap").filter(|map| map["data"].get("SMTP_HOST").is_some());
    let [map] = maps.collect::<Vec<_>>().try_into().unwrap();
    assert!(["starttls", "implicit"].contains(&map["data"]["SMTP_TLS"].as_str().unwrap()), "{map}");
    assert!(!map["data"]["SMTP_USER"].as_str().unwrap().is_empty(), "{map}");

    let deployment = production.find("Deployment", "email-consumer").unwrap();
    let variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let password = variables.iter().find(|variable| variable["name"] == "SMTP_PASSWORD").unwrap();
    assert_eq!(password["valueFrom"]["secretKeyRef"]["key"], "password");

    let port: u64 = map["data"]["SMTP_PORT"].as_str().unwrap().parse().unwrap();
    let policy = production.find("NetworkPolicy", "to-mail-relay").unwrap();
    assert_eq!(policy["spec"]["egress"][0]["ports"][0]["port"], port);
}

/// The default of the specification records everything, which a service feels long before the trace store does.
#[test]
fn every_service_samples_traces() {
    for service in SERVICES {
        for manifest in rendered().unwrap() {
            let settings = &maps(&manifest, service).next().unwrap()["data"];
            assert_eq!(settings["OTEL_TRACES_SAMPLER"], "parentbased_traceidratio", "{}", manifest.overlay);
            let ratio: f64 = settings["OTEL_TRACES_SAMPLER_ARG"].as_str().unwrap().parse().unwrap();
            assert!(ratio > 0.0 && ratio <= 0.1, "{} {service}: {ratio}", manifest.overlay);
        }
    }
}
