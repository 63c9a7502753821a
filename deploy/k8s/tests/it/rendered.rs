//! The rendered files are what the sources make.

use std::process::Command;

use crate::manifests::{OVERLAYS, directory, rendered};

fn digest(of: &str, overlay: &str) -> String {
    let output =
        Command::new("bash").arg(directory().join("render.sh")).args([of, overlay]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn every_overlay_is_rendered_from_the_sources_of_this_checkout() {
    for manifest in rendered().unwrap() {
        let expected = format!("# sources: {}", digest("digest", manifest.overlay));
        let found = manifest.text.lines().nth(1).unwrap();
        assert_eq!(found, expected, "{} is out of date: run `make k8s/render`", manifest.overlay);
    }
}

#[test]
fn rendered_files_were_not_edited() {
    for manifest in rendered().unwrap() {
        let expected = format!("# result: {}", digest("result", manifest.overlay));
        let found = manifest.text.lines().nth(2).unwrap();
        assert_eq!(found, expected, "{} was edited: run `make k8s/render`", manifest.overlay);
    }
}

#[test]
fn every_overlay_is_known_to_these_tests() {
    let mut found: Vec<_> = std::fs::read_dir(directory().join("overlays"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut known = OVERLAYS.to_vec();
    found.sort();
    known.sort_unstable();
    assert_eq!(found, known);
}
