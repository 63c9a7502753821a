//! What the images are compiled from: a build sees no more of the checkout than it is let in.

use crate::manifests::directory;

fn read(path: &str) -> String {
    std::fs::read_to_string(directory().join("../..").join(path)).unwrap()
}

#[test]
fn the_build_context_contains_every_package_of_the_workspace() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let ignored = read("deploy/images/programs.Containerfile.dockerignore");
    let let_in: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for member in members.iter().map(|member| member.as_str().unwrap().trim_end_matches("/*")) {
        let is_in = let_in.iter().any(|path| member == *path || member.starts_with(&format!("{path}/")));
        assert!(is_in, "cargo cannot build without {member}");
    }
}
