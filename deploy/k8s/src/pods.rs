//! Pod templates of workloads.

use serde_json::Value;

/// A pod template and its workload.
#[derive(Clone, Copy, Debug)]
pub struct Pod<'a> {
    /// The kind of the workload.
    pub kind: &'a str,
    /// The name of the workload.
    pub name: &'a str,
    /// The labels of the pod.
    pub labels: &'a Value,
    /// The pod's specification.
    pub spec: &'a Value,
}

impl<'a> Pod<'a> {
    pub(crate) fn of(document: &'a Value) -> Option<Self> {
        let template = document["spec"].get("template").filter(|it| it.get("spec").is_some())?;
        Some(Self {
            kind: document["kind"].as_str()?,
            name: document["metadata"]["name"].as_str()?,
            labels: &template["metadata"]["labels"],
            spec: &template["spec"],
        })
    }

    /// Whether the workload runs until it is stopped, unlike a job.
    pub fn is_long_running(&self) -> bool {
        self.kind != "Job"
    }

    /// Whether the pod has all of these labels.
    pub fn has_labels(&self, labels: &Value) -> bool {
        labels
            .as_object()
            .is_some_and(|labels| labels.iter().all(|(name, value)| &self.labels[name] == value))
    }
}

/// The containers of a pod that run side by side, and those that run before them.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().filter_map(|key| spec[key].as_array()).flatten()
}
