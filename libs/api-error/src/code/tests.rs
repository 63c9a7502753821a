use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// What each page says, in this order.
const SECTIONS: [&str; 3] = ["## Meaning", "## What the client does", "## What the operator checks"];

#[test]
fn every_code_has_an_error_status_and_a_unique_name() {
    let mut names = BTreeSet::new();
    for code in Code::ALL {
        assert!(code.status().is_client_error() || code.status().is_server_error(), "{code}");
        assert!(names.insert(code.as_str()), "{code} is in the table twice");
        assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        assert!(!code.title().is_empty(), "{code}");
        assert_eq!(Code::from_name(code.as_str()), Some(*code));
    }
}

#[test]
fn every_page_matches_the_table_and_has_its_sections() {
    for code in Code::ALL {
        let page = code.page();
        let retry = if code.retryable() {
            "retry after the time in `Retry-After`"
        } else {
            "do not retry the same request"
        };
        let head = format!("# {code}\n\n{}. Status {}, {retry}.\n\n", code.title(), code.status().as_u16());
        assert!(page.starts_with(&head), "docs/errors/{code}.md does not begin with:\n{head}");
        let mut rest = page;
        for section in SECTIONS {
            let (before, after) = rest.split_once(section).unwrap_or_default();
            assert!(
                !before.trim().is_empty(),
                "docs/errors/{code}.md: something is missing before {section}"
            );
            rest = after;
        }
        assert!(!rest.trim().is_empty(), "docs/errors/{code}.md: the last section is empty");
    }
}

#[test]
fn every_page_has_a_code() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for page in fs::read_dir(pages).unwrap() {
        let path = page.unwrap().path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let known = name == "README" || Code::from_name(name).is_some();
        assert!(known, "{} explains a code that is not in the table", path.display());
    }
}

#[test]
fn the_list_of_pages_matches_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors/README.md");
    let list = fs::read_to_string(path).unwrap();
    let rows: Vec<_> = list.lines().filter(|line| line.starts_with("| [`")).collect();
    let expected: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            let (status, retry) = (code.status().as_u16(), if code.retryable() { "yes" } else { "no" });
            format!("| [`{code}`]({code}.md) | {status} | {retry} | {} |", code.title())
        })
        .collect();
    assert_eq!(rows, expected, "docs/errors/README.md is not the table of libs/api-error/src/code.rs");
}
