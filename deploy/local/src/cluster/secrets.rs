//! Kubernetes Secrets for a test cluster: generated once, then kept.
//!
//! In production they come from a secret store, with the same names and keys: see docs/kubernetes.md.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context;
use auth::Jwks;
use serde_json::{Value, json};

use crate::secrets::{Secrets, create_private_dir};

/// Production refuses the key ids of a local stack, which have another prefix.
const EMAIL_CONSUMER_KID: &str = "email-consumer";

/// Databases, each with a role of the same name.
const DATABASES: [&str; 4] = ["orders", "url_shortener", "email_consumer", "apicurio"];

/// Returns the manifest of every Secret that the overlays `kind` and `airgapped` use.
///
/// Generates the secrets that `kept` lacks.
pub(crate) fn manifest(kept: &Path, namespace: &str) -> anyhow::Result<Value> {
    let secrets = Secrets::of_cluster(kept)?;
    let client = secrets.client_key()?;
    let email_consumer = secrets.signing_key("email-consumer-key.json", EMAIL_CONSUMER_KID)?;
    let keys = vec![client.public_jwk(None), email_consumer.public_jwk(Some(vec!["links:write".to_owned()]))];
    let jwks = serde_json::to_string(&Jwks { keys }).context("the key set")?;

    let mut passwords = json!({ "postgres": secrets.random("postgres")? });
    for name in DATABASES {
        passwords[name] = secrets.random(name)?.into();
    }
    let secret = |name: &str, data: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": { "app.kubernetes.io/part-of": "muster" },
            },
            "stringData": data,
        })
    };
    let items = [
        secret("postgres", passwords),
        secret("registry", json!({ "APICURIO_DATASOURCE_PASSWORD": secrets.random("apicurio")? })),
        secret(
            "orders",
            json!({
                "DATABASE_URL": database_url(&secrets, "orders")?,
                "ORDERS_TRACKING_KEY": secrets.random("orders-tracking-key")?,
                "ORDERS_CURSOR_KEYS": cursor_keys(&secrets, "orders-cursor-key")?,
            }),
        ),
        secret(
            "url-shortener",
            json!({
                "DATABASE_URL": database_url(&secrets, "url_shortener")?,
                "LINKS_CURSOR_KEYS": cursor_keys(&secrets, "links-cursor-key")?,
            }),
        ),
        secret(
            "email-consumer",
            json!({
                "DATABASE_URL": database_url(&secrets, "email_consumer")?,
                "EMAIL_LINK_CODE_KEY": secrets.random("email-link-code-key")?,
            }),
        ),
        secret("auth-jwks", json!({ "jwks.json": jwks })),
        secret("email-consumer-key", json!({ "email-consumer-key.json": email_consumer.to_jwk_json() })),
        secret("cluster-check-key", json!({ "client-key.json": client.to_jwk_json() })),
    ];
    Ok(json!({ "apiVersion": "v1", "kind": "List", "items": items }))
}

/// The parts of a test cluster use plaintext, because their traffic stays on one node.
fn database_url(secrets: &Secrets, name: &str) -> anyhow::Result<String> {
    Ok(format!("postgres://{name}:{}@postgres:5432/{name}?sslmode=disable", secrets.random(name)?))
}

/// The first key of a list; a rotation adds keys.
fn cursor_keys(secrets: &Secrets, name: &str) -> anyhow::Result<String> {
    Ok(format!("key-1:{}", secrets.random(name)?))
}

/// Writes the same Secrets as files, for `deploy/images/compose.yaml`: settings as `NAME.env`, anything else as `NAME/KEY`.
///
/// Containers run as other users, so the files are readable to all; only the owner can enter the directory.
pub(crate) fn write_files(manifest: &Value, directory: &Path) -> anyhow::Result<()> {
    create_private_dir(directory)?;
    for secret in manifest["items"].as_array().into_iter().flatten() {
        let name = secret["metadata"]["name"].as_str().context("a Secret has a name")?;
        let data = secret["stringData"].as_object().context("a Secret has data")?;
        let mut settings = Vec::new();
        for (key, value) in data {
            let value = value.as_str().unwrap_or_default();
            if is_setting(key) {
                settings.push(format!("{key}={value}"));
            } else {
                write_readable(&directory.join(name).join(key), value)?;
            }
        }
        if !settings.is_empty() {
            write_readable(&directory.join(format!("{name}.env")), &settings.join("\n"))?;
        }
    }
    Ok(())
}

/// Whether a key is the name of an environment variable.
fn is_setting(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn write_readable(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use auth::SigningKey;

    use super::*;

    fn kept(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("muster-cluster-{name}-{}", std::process::id()))
    }

    #[test]
    fn secrets_are_generated_once() {
        let kept = kept("once");
        assert_eq!(manifest(&kept, "muster").unwrap(), manifest(&kept, "muster").unwrap());
        fs::remove_dir_all(kept).unwrap();
    }

    #[test]
    fn settings_match_the_documentation() {
        let kept = kept("documented");
        let manifest = manifest(&kept, "muster").unwrap();
        let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kubernetes.md");
        let documentation = fs::read_to_string(documentation).unwrap();
        for secret in manifest["items"].as_array().unwrap() {
            let begin = format!("| `{}` |", secret["metadata"]["name"].as_str().unwrap());
            let row = documentation.lines().find_map(|line| line.strip_prefix(&begin)).unwrap();
            let listed: BTreeSet<_> = row.split('`').skip(1).step_by(2).filter(|it| is_setting(it)).collect();
            let made = secret["stringData"].as_object().unwrap().keys().map(String::as_str);
            assert_eq!(made.filter(|it| is_setting(it)).collect::<BTreeSet<_>>(), listed, "{begin}");
        }
        fs::remove_dir_all(kept).unwrap();
    }

    #[test]
    fn production_accepts_every_key_id() {
        let kept = kept("production");
        let manifest = manifest(&kept, "muster").unwrap();
        let keys = manifest["items"].as_array().unwrap().iter().filter_map(|secret| {
            let data = secret["stringData"].as_object()?;
            data.iter().find(|(name, _)| name.ends_with("-key.json")).and_then(|(_, value)| value.as_str())
        });
        let kids: Vec<_> = keys.map(|key| SigningKey::from_jwk_json(key).unwrap().kid().to_owned()).collect();
        assert_eq!(kids, [EMAIL_CONSUMER_KID, "cluster-check"]);
        assert!(kids.iter().all(|kid| !kid.starts_with("local-development")));
        fs::remove_dir_all(kept).unwrap();
    }

    #[test]
    fn files_contain_the_same_secrets_as_the_manifest() {
        let kept = kept("files");
        let manifest = manifest(&kept.join("kept"), "muster").unwrap();

        write_files(&manifest, &kept).unwrap();

        let settings = fs::read_to_string(kept.join("orders.env")).unwrap();
        assert!(settings.contains("DATABASE_URL=postgres://orders:"), "{settings}");
        let password = fs::read_to_string(kept.join("postgres/orders")).unwrap();
        assert!(settings.contains(&password), "one password for both sides");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
        fs::remove_dir_all(kept).unwrap();
    }
}
