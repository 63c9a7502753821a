//! Every document is what Kubernetes takes it for, in the oldest minor that we run on and in the newest: no unknown field, no
//! wrong type, no kind that one of them does not have.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{manifests::rendered, operators};

/// Reads a document as its type, and names what the type does not have.
fn strictly<T: DeserializeOwned>(document: &Value) -> Result<(), String> {
    let mut unknown = Vec::new();
    let read: Result<T, _> =
        serde_ignored::deserialize(document.clone(), |path| unknown.push(path.to_string()));
    match read {
        Err(error) => Err(error.to_string()),
        Ok(_) if unknown.is_empty() => Ok(()),
        Ok(_) => Err(format!("unknown fields: {}", unknown.join(", "))),
    }
}

macro_rules! minor {
    ($name:ident, $api:ident) => {
        mod $name {
            use serde_json::Value;
            use $api::api::{
                apps::v1::{Deployment, StatefulSet},
                autoscaling::v2::HorizontalPodAutoscaler,
                batch::v1::Job,
                core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
                networking::v1::NetworkPolicy,
                policy::v1::PodDisruptionBudget,
            };

            use super::strictly;

            /// Nothing is said about kinds that are not Kubernetes' own.
            pub(super) fn check(document: &Value) -> Option<Result<(), String>> {
                let version = document["apiVersion"].as_str().unwrap();
                let kind = document["kind"].as_str().unwrap();
                Some(match (version, kind) {
                    ("v1", "ConfigMap") => strictly::<ConfigMap>(document),
                    ("v1", "Namespace") => strictly::<Namespace>(document),
                    ("v1", "Service") => strictly::<Service>(document),
                    ("v1", "ServiceAccount") => strictly::<ServiceAccount>(document),
                    ("apps/v1", "Deployment") => strictly::<Deployment>(document),
                    ("apps/v1", "StatefulSet") => strictly::<StatefulSet>(document),
                    ("batch/v1", "Job") => strictly::<Job>(document),
                    ("autoscaling/v2", "HorizontalPodAutoscaler") => {
                        strictly::<HorizontalPodAutoscaler>(document)
                    }
                    ("networking.k8s.io/v1", "NetworkPolicy") => strictly::<NetworkPolicy>(document),
                    ("policy/v1", "PodDisruptionBudget") => strictly::<PodDisruptionBudget>(document),
                    _ => return None,
                })
            }
        }
    };
}

minor!(v1_34, k8s_openapi_old);
minor!(v1_37, k8s_openapi_new);

fn check(document: &Value) -> Vec<(&'static str, String)> {
    let kubernetes = [("1.34", v1_34::check(document)), ("1.37", v1_37::check(document))];
    let mut problems = Vec::new();
    for (minor, outcome) in kubernetes {
        let outcome = outcome.unwrap_or_else(|| operators::check(document));
        problems.extend(outcome.err().map(|problem| (minor, problem)));
    }
    problems
}

#[test]
fn every_document_is_valid_in_two_minors() {
    for manifest in rendered().unwrap() {
        assert!(manifest.documents.len() > 25, "{} is incomplete", manifest.overlay);
        for document in &manifest.documents {
            let name = &document["metadata"]["name"];
            let problems = check(document);
            assert!(problems.is_empty(), "{} {} {name}: {problems:?}", manifest.overlay, document["kind"]);
        }
    }
}

#[test]
fn a_misspelt_field_a_wrong_type_and_an_unknown_kind_are_found() {
    let manifests = rendered().unwrap();
    let deployment = manifests[0].find("Deployment", "orders").unwrap();

    let mut misspelt = deployment.clone();
    misspelt["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = Value::Null;
    let problems = check(&misspelt);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|(_, problem)| problem.contains("readynessProbe")), "{problems:?}");

    let mut mistyped = deployment.clone();
    mistyped["spec"]["revisionHistoryLimit"] = "five".into();
    assert_eq!(check(&mistyped).len(), 2);

    let mut unknown = deployment.clone();
    unknown["kind"] = "Deploiment".into();
    assert_eq!(check(&unknown).len(), 2);
}
