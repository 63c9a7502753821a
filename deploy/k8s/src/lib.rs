#![doc = include_str!("../README.md")]

mod pods;

use std::path::{Path, PathBuf};

use anyhow::Context;
pub use pods::{Pod, containers};
use serde::Deserialize as _;
use serde_json::Value;

/// The overlays.
pub const OVERLAYS: [&str; 3] = ["kind", "airgapped", "production"];

/// The services of the product.
pub const SERVICES: [&str; 3] = ["orders", "url-shortener", "email-consumer"];

/// A rendered overlay.
#[derive(Debug)]
pub struct Manifest {
    /// The overlay's name.
    pub overlay: &'static str,
    /// The text of the file.
    pub text: String,
    /// The documents in order.
    pub documents: Vec<Value>,
}

/// The directory `deploy/k8s` of this checkout.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Reads every rendered overlay.
///
/// # Errors
/// A file is missing or is no YAML; `make k8s/render` writes them.
pub fn rendered() -> anyhow::Result<Vec<Manifest>> {
    OVERLAYS.into_iter().map(read).collect()
}

fn read(overlay: &'static str) -> anyhow::Result<Manifest> {
    let path = directory().join(format!("rendered/{overlay}.yaml"));
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read: run `make k8s/render`", path.display()))?;
    let documents = serde_norway::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).with_context(|| format!("{}", path.display())))
        .collect::<anyhow::Result<_>>()?;
    Ok(Manifest { overlay, text, documents })
}

impl Manifest {
    /// The documents of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.documents.iter().filter(move |document| document["kind"] == kind)
    }

    /// The document of a kind and a name.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
    }

    /// The pod template of every workload.
    pub fn pods(&self) -> Vec<Pod<'_>> {
        self.documents.iter().filter_map(Pod::of).collect()
    }
}
