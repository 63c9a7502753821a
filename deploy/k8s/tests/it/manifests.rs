//! The rendered overlays, and the pod templates in them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize as _;
use serde_json::Value;

pub(crate) const OVERLAYS: [&str; 3] = ["kind", "airgapped", "production"];

pub(crate) const SERVICES: [&str; 3] = ["orders", "url-shortener", "email-consumer"];

/// A rendered overlay.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) overlay: &'static str,
    pub(crate) text: String,
    pub(crate) documents: Vec<Value>,
}

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Reads every rendered overlay.
pub(crate) fn rendered() -> anyhow::Result<Vec<Manifest>> {
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
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.documents.iter().filter(move |document| document["kind"] == kind)
    }

    /// The document of a kind and a name.
    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
    }

    /// The pod template of every workload.
    pub(crate) fn pods(&self) -> Vec<Pod<'_>> {
        self.documents.iter().filter_map(Pod::of).collect()
    }
}

/// A pod template and its workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pod<'a> {
    /// The kind of the workload.
    pub(crate) kind: &'a str,
    /// The name of the workload.
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Value,
    pub(crate) spec: &'a Value,
}

impl<'a> Pod<'a> {
    fn of(document: &'a Value) -> Option<Self> {
        let template = document["spec"].get("template").filter(|it| it.get("spec").is_some())?;
        Some(Self {
            kind: document["kind"].as_str()?,
            name: document["metadata"]["name"].as_str()?,
            labels: &template["metadata"]["labels"],
            spec: &template["spec"],
        })
    }

    /// Whether the workload runs until it is stopped, unlike a job.
    pub(crate) fn is_long_running(&self) -> bool {
        self.kind != "Job"
    }

    /// Whether the pod has all of these labels.
    pub(crate) fn has_labels(&self, labels: &Value) -> bool {
        labels
            .as_object()
            .is_some_and(|labels| labels.iter().all(|(name, value)| &self.labels[name] == value))
    }
}

/// The containers of a pod that run side by side, and those that run before them.
pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().filter_map(|key| spec[key].as_array()).flatten()
}
