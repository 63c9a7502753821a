//! What docs/ARCHITECTURE.md says about who may know what: dependencies from `cargo metadata`, modules from the tokens of their source.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use proc_macro2::{TokenStream, TokenTree};

use crate::repository::{files, read, root};

/// Frameworks and clients, each with all packages that depend on it, other than for their tests.
const DEPENDENTS: [(&str, &[&str]); 5] = [
    (
        "actix-web",
        &[
            "api-error",
            "bank",
            "email-consumer",
            "http-api",
            "idempotency",
            "ledger",
            "muster",
            "orders",
            "service",
            "telemetry",
            "url-shortener",
        ],
    ),
    ("utoipa", &["api-error", "bank", "email-consumer", "http-api", "ledger", "orders", "url-shortener"]),
    ("deadpool-postgres", &["outbox", "pg"]),
    ("tokio-postgres", &["loadtest", "muster", "pg", "testkit"]),
    ("rdkafka", &["consumer", "loadtest", "muster", "outbox", "testkit"]),
];

/// What a layer of a service must not name: crates, and modules of its own crate.
const MUST_NOT_NAME: [(&str, &[&str], &[&str]); 3] = [
    (
        "domain",
        &[
            "actix_web",
            "api_error",
            "consumer",
            "deadpool_postgres",
            "idempotency",
            "lettre",
            "outbox",
            "pg",
            "rdkafka",
            "reqwest",
            "tokio_postgres",
            "utoipa",
        ],
        &["app", "config", "routes", "store"],
    ),
    (
        "store",
        &["actix_web", "deadpool_postgres", "lettre", "rdkafka", "reqwest", "utoipa"],
        &["app", "routes"],
    ),
    ("routes", &["deadpool_postgres", "rdkafka", "reqwest", "tokio_postgres"], &[]),
];

fn workspace() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

fn directory(package: &Package) -> PathBuf {
    let root = root().canonicalize().unwrap();
    Path::new(package.manifest_path.parent().unwrap()).strip_prefix(root).unwrap().to_owned()
}

/// Names of the packages that one needs when it runs or is built, so without those of its tests.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    let needed = package.dependencies.iter().filter(|needed| needed.kind != DependencyKind::Development);
    needed.map(|needed| needed.name.as_str()).collect()
}

#[test]
fn only_some_packages_know_a_framework_or_client() {
    let metadata = workspace();
    for (dependency, expected) in DEPENDENTS {
        let packages = metadata.packages.iter().filter(|package| dependencies(package).contains(dependency));
        let found: BTreeSet<&str> = packages.map(|package| package.name.as_str()).collect();
        assert!(
            found.iter().eq(expected),
            "on {dependency} depend {found:?}, expected {expected:?}: see docs/ARCHITECTURE.md"
        );
    }
}

#[test]
fn services_and_libraries_never_depend_on_services_or_tools() {
    let metadata = workspace();
    let in_directory = |parent: &str| -> BTreeSet<&str> {
        let inside = metadata.packages.iter().filter(|package| directory(package).starts_with(parent));
        inside.map(|package| package.name.as_str()).collect()
    };
    let services = in_directory("services");
    let tools: BTreeSet<&str> = in_directory("deploy").into_iter().chain(in_directory("loadtest")).collect();
    assert!(services.len() >= 3 && tools.len() >= 4, "{services:?} {tools:?}");
    for package in &metadata.packages {
        let dependencies = dependencies(package);
        let above: Vec<_> = dependencies.intersection(&services).collect();
        assert!(above.is_empty(), "{} depends on the services {above:?}", package.name);
        let is_tool = package.name == "testkit" || tools.contains(package.name.as_str());
        let above: Vec<_> = dependencies.intersection(&tools).collect();
        assert!(is_tool || above.is_empty(), "{} depends on the tools {above:?}", package.name);
        assert!(!dependencies.contains("testkit"), "{}: testkit is for tests only", package.name);
    }
}

/// The tokens of a source file, with the ends of its groups, and without its module of tests. Comments are none.
fn tokens(source: &str) -> Vec<String> {
    fn flatten(stream: TokenStream, tokens: &mut Vec<String>) {
        for tree in stream {
            match tree {
                TokenTree::Group(group) => {
                    tokens.push("(".to_owned());
                    flatten(group.stream(), tokens);
                    tokens.push(")".to_owned());
                }
                TokenTree::Literal(_) => tokens.push("literal".to_owned()),
                other => tokens.push(other.to_string()),
            }
        }
    }
    let mut tokens = Vec::new();
    flatten(source.parse().unwrap(), &mut tokens);
    let tests = ["#", "(", "cfg", "(", "test", ")", ")", "mod"];
    if let Some(start) = tokens.windows(tests.len()).position(|window| window == tests) {
        tokens.truncate(start);
    }
    tokens
}

/// The first names after `crate::` in the tokens: of a path, or of each branch of a `use crate::{…}`.
fn names_of_own_crate(tokens: &[String]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let starts = tokens.windows(3).enumerate().filter(|(_, window)| *window == ["crate", ":", ":"]);
    for (start, _) in starts {
        let rest = &tokens[start + 3..];
        if rest.first().is_some_and(|first| first != "(") {
            names.insert(rest[0].as_str());
            continue;
        }
        let mut depth = 0;
        for pair in rest.windows(2) {
            match pair[0].as_str() {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            match (depth, pair[0].as_str()) {
                (0, _) => break,
                (1, "(" | ",") => _ = names.insert(pair[1].as_str()),
                _ => {}
            }
        }
    }
    names
}

/// Sources of the packages, as `(package, module below its root, path)`. `main.rs` and `lib.rs` are the root, and no module.
fn modules() -> Vec<(PathBuf, String, PathBuf)> {
    let packages: Vec<PathBuf> =
        workspace().packages.iter().map(|package| directory(package).join("src")).collect();
    let mut modules = Vec::new();
    for path in files(&["rs"]) {
        let Some(package) = packages.iter().find(|package| path.starts_with(package)) else { continue };
        let below = path.strip_prefix(package).unwrap();
        let top = below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if !["main", "lib", "bin", "tests"].contains(&top) && !below.ends_with("tests.rs") {
            modules.push((package.clone(), top.to_owned(), path));
        }
    }
    modules
}

#[test]
fn a_layer_of_a_service_names_only_what_it_may_know() {
    let (mut n_files, mut wrong) = (0, Vec::new());
    for (package, module, path) in modules() {
        let layer =
            MUST_NOT_NAME.iter().find(|(layer, ..)| package.starts_with("services") && *layer == module);
        let Some((_, crates, modules)) = layer else { continue };
        n_files += 1;
        let source = read(&path);
        let tokens = tokens(&source);
        let own = names_of_own_crate(&tokens);
        let is_path = |at: usize| tokens[at + 1..].starts_with(&[":".to_owned(), ":".to_owned()]);
        let crates =
            crates.iter().filter(|name| (0..tokens.len()).any(|at| tokens[at] == **name && is_path(at)));
        let named: Vec<&str> =
            crates.chain(modules.iter().filter(|name| own.contains(**name))).copied().collect();
        if !named.is_empty() {
            wrong.push(format!("{} must not name {named:?}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "see docs/ARCHITECTURE.md:
{}",
        wrong.join(
            "
"
        )
    );
    assert!(n_files > 20, "only {n_files} files were found");
}

#[test]
fn modules_of_a_package_form_no_circle() {
    let modules = modules();
    let mut uses: BTreeMap<(&Path, &str), BTreeSet<String>> = BTreeMap::new();
    for (package, module, path) in &modules {
        let source = read(path);
        let names = uses.entry((package, module)).or_default();
        names.extend(
            names_of_own_crate(&tokens(&source)).into_iter().filter(|name| name != module).map(str::to_owned),
        );
    }
    let mut circles = Vec::new();
    for (package, module) in uses.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![*module]);
        while let Some(name) = next.pop() {
            let names = uses.get(&(*package, name)).into_iter().flatten().map(String::as_str);
            next.extend(names.filter(|name| reached.insert(*name)));
        }
        if reached.contains(module) {
            circles.push(format!("{}: {module}", package.display()));
        }
    }
    assert!(circles.is_empty(), "these modules reach themselves through others:\n{}", circles.join("\n"));
}

#[test]
fn names_are_found_in_paths_and_in_nested_imports() {
    let source = "use crate::{a::{b, c}, d}; fn f() { crate::e::g(); crate::H }\n#[cfg(test)] mod tests { use crate::t; }";
    let tokens = tokens(source);
    assert!(names_of_own_crate(&tokens).into_iter().eq(["H", "a", "d", "e"]));
}
