//! The authorisation matrix: every operation of a service with every kind of caller.
//!
//! The operations come from the service's OpenAPI document, which is generated from its routes, so a new operation is in the matrix. The
//! test lists the operations without a token, so each new one is a decision. `HEAD` is not in the document: it is sent for every `GET`, and
//! compared with it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{StatusCode, header::WWW_AUTHENTICATE};
use serde_json::Value;

use crate::{Keys, client, tokens::Forgery};

mod operation;

use operation::{Answer, Operation};

/// The tenant that owns the resources.
const OWNER: &str = "acme";
/// Another tenant.
const OTHER: &str = "globex";

/// The authorisation matrix of a service.
#[derive(Debug)]
pub struct Matrix<'a> {
    base_url: String,
    keys: &'a Keys,
    document: Value,
    public: BTreeSet<(&'a str, &'a str)>,
    signed: BTreeSet<(&'a str, &'a str)>,
    /// By path parameter: the value of a resource of the owner, and one of no resource.
    resources: BTreeMap<&'a str, (String, String)>,
    /// Operations on names that all tenants share, and the answer to a name of another tenant.
    shared: BTreeMap<(&'a str, &'a str), StatusCode>,
}

impl<'a> Matrix<'a> {
    /// Reads the operations of a running service.
    pub async fn of(base_url: impl Into<String>, keys: &'a Keys) -> Self {
        let base_url = base_url.into();
        let answer =
            client().get(format!("{base_url}/openapi.json")).send().await.expect("the service answers");
        let document = answer.json().await.expect("the document is JSON");
        let (public, signed) = (BTreeSet::new(), BTreeSet::new());
        let (resources, shared) = (BTreeMap::new(), BTreeMap::new());
        Self { base_url, keys, document, public, signed, resources, shared }
    }

    /// Lists the operations that need no token, as method and path.
    #[must_use]
    pub fn public(mut self, operations: &[(&'a str, &'a str)]) -> Self {
        self.public = operations.iter().copied().collect();
        self
    }

    /// Marks operations without a token that need a signature instead: without one, the answer is 401.
    #[must_use]
    pub fn signed(mut self, operations: &[(&'a str, &'a str)]) -> Self {
        self.signed = operations.iter().copied().collect();
        self
    }

    /// Sets the values of a path parameter: a resource of tenant `acme`, and one that does not exist.
    #[must_use]
    pub fn resource(
        mut self,
        parameter: &'a str,
        of_acme: impl Into<String>,
        absent: impl Into<String>,
    ) -> Self {
        self.resources.insert(parameter, (of_acme.into(), absent.into()));
        self
    }

    /// Marks an operation whose names all tenants share: for a name of another tenant it answers `taken`.
    #[must_use]
    pub fn shared_name(mut self, method: &'a str, path: &'a str, taken: StatusCode) -> Self {
        self.shared.insert((method, path), taken);
        self
    }

    /// Sends every operation as every kind of caller; returns the number of combinations.
    ///
    /// # Panics
    /// An answer is wrong; the message has all wrong answers.
    pub async fn check(&self) -> usize {
        let operations = Operation::all(&self.document);
        let public: BTreeSet<_> =
            operations.iter().filter(|operation| operation.scopes.is_empty()).map(Operation::name).collect();
        assert_eq!(public, self.public, "operations without a token: in the document, and in the test");
        let mut report = Report::default();
        for operation in operations.iter().filter(|operation| !operation.scopes.is_empty()) {
            self.check_callers(operation, &operations, &mut report).await;
            self.check_tenants(operation, &mut report).await;
        }
        for operation in operations.iter().filter(|operation| operation.scopes.is_empty()) {
            let answer = self.send(operation, None, true).await;
            let as_expected = if self.signed.contains(&operation.name()) {
                answer.status == StatusCode::UNAUTHORIZED && answer.body["code"] == "unauthenticated"
            } else {
                !matches!(answer.status.as_u16(), 401 | 403 | 500..)
            };
            report.expect(operation, "no token", as_expected, &answer);
        }
        for operation in &operations {
            self.check_head(operation, &mut report).await;
        }
        assert!(
            report.wrong.is_empty(),
            "{} of {}:\n{}",
            report.wrong.len(),
            report.n,
            report.wrong.join("\n")
        );
        report.n
    }

    async fn check_callers(&self, operation: &Operation, all: &[Operation], report: &mut Report) {
        let scopes = operation.scopes();
        let valid = self.keys.token_with(OWNER, &scopes, &Value::Null);
        let answer = self.send(operation, Some(&valid), true).await;
        let is_answered = answer.status.is_success() || answer.status.is_redirection();
        report.expect(operation, "a valid token", is_answered, &answer);

        let answer = self.send(operation, None, true).await;
        report.expect(operation, "no token", answer.is_unauthenticated(), &answer);
        for forgery in Forgery::ALL {
            let token = self.keys.forge(forgery, OWNER, &scopes);
            let answer = self.send(operation, Some(&token), true).await;
            report.expect(operation, &format!("{forgery:?}"), answer.is_unauthenticated(), &answer);
        }

        let every_other: BTreeSet<_> = all.iter().flat_map(Operation::scopes).collect();
        let every_other: Vec<_> = every_other.into_iter().filter(|scope| !scopes.contains(scope)).collect();
        let token = self.keys.token(OWNER, &every_other);
        let answer = self.send(operation, Some(&token), true).await;
        let forbidden = answer.status == StatusCode::FORBIDDEN && answer.body["code"] == "forbidden";
        report.expect(operation, "every scope but the right one", forbidden, &answer);
    }

    /// `HEAD` is answered like `GET` without the body, with and without a token.
    async fn check_head(&self, operation: &Operation, report: &mut Report) {
        let Some(head) = operation.head() else { return };
        let valid = self.keys.token_with(OWNER, &operation.scopes(), &Value::Null);
        for (caller, token) in [("a valid token", Some(valid.as_str())), ("no token", None)] {
            let (get, head_answer) =
                (self.send(operation, token, true).await, self.send(&head, token, true).await);
            let same = head_answer.is_the_head_of(&get);
            report.expect(&head, &format!("{caller}, beside {get:?}"), same, &head_answer);
        }
    }

    /// A resource of another tenant is answered like one that does not exist.
    async fn check_tenants(&self, operation: &Operation, report: &mut Report) {
        let token = self.keys.token(OTHER, &operation.scopes());
        let foreign = self.send(operation, Some(&token), true).await;
        let names: Vec<_> = operation.path_parameters().collect();
        let leaks = names.iter().any(|name| foreign.contains(&self.resources[name.as_str()].0))
            || foreign.contains(OWNER);
        if names.is_empty() {
            let resources = self.resources.values().any(|(of_acme, _)| foreign.contains(of_acme));
            report.expect(operation, "another tenant, which sees its own resources", !resources, &foreign);
        } else if let Some(taken) = self.shared.get(&operation.name()) {
            report.expect(
                operation,
                "another tenant's name is taken",
                foreign.status == *taken && !leaks,
                &foreign,
            );
        } else {
            let absent = self.send(operation, Some(&token), false).await;
            let same = foreign.status == StatusCode::NOT_FOUND && !leaks && foreign.is_the_same_as(&absent);
            report.expect(operation, "another tenant", same, &foreign);
        }
    }

    async fn send(&self, operation: &Operation, token: Option<&str>, of_acme: bool) -> Answer {
        let value = |name: &str| {
            let (present, absent) = self.resources.get(name).cloned().unwrap_or_default();
            if of_acme { present } else { absent }
        };
        let mut request = operation.request(&self.document, &self.base_url, value);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Answer::read(request.send().await.expect("the service answers")).await
    }
}

#[derive(Default)]
struct Report {
    n: usize,
    wrong: Vec<String>,
}

impl Report {
    fn expect(&mut self, operation: &Operation, caller: &str, as_expected: bool, answer: &Answer) {
        self.n += 1;
        if !as_expected {
            let (method, path) = operation.name();
            self.wrong.push(format!("{method} {path}, {caller}: {} {}", answer.status, answer.body));
        }
    }
}

impl Answer {
    fn is_unauthenticated(&self) -> bool {
        let challenge = self.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        self.status == StatusCode::UNAUTHORIZED
            && self.body["code"] == "unauthenticated"
            && challenge.is_some_and(|challenge| challenge.starts_with("Bearer realm="))
    }
}
