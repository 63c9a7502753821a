//! Every relative link of a Markdown file leads to a file and to a heading in it, and a name in backticks that links to a source
//! file occurs in that file. Links to other sites are not followed; rustdoc checks those to items, such as `pg::migrate()`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::repository::{files, read, root};

/// What other documents can link to, and what this one links to.
struct Page {
    anchors: BTreeSet<String>,
    links: Vec<Link>,
}

struct Link {
    /// The text in backticks, if the whole text of the link is one.
    code: Option<String>,
    target: String,
}

impl Page {
    fn parse(markdown: &str) -> Self {
        let mut page = Self { anchors: BTreeSet::new(), links: Vec::new() };
        let (mut heading, mut link): (Option<String>, Option<Link>) = (None, None);
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.add_heading(&heading.take().unwrap_or_default()),
                Event::Start(Tag::Link { dest_url: url, .. } | Tag::Image { dest_url: url, .. }) => {
                    link = Some(Link { code: None, target: url.into_string() });
                }
                Event::End(TagEnd::Link | TagEnd::Image) => page.links.extend(link.take()),
                Event::Text(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    if let Some(link) = &mut link {
                        link.code = Some(code.into_string());
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// GitHub's anchor of a heading: lower case, hyphens for spaces, without punctuation, numbered when it is not the first of its name.
    fn add_heading(&mut self, heading: &str) {
        let kept = heading.to_lowercase().replace(' ', "-");
        let slug: String =
            kept.chars().filter(|char| char.is_alphanumeric() || matches!(char, '-' | '_')).collect();
        let numbered = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|slug| !self.anchors.contains(slug));
        self.anchors.extend(free);
    }
}

/// `a/b/../c` as `a/c`, without asking the file system.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn pages() -> BTreeMap<PathBuf, Page> {
    files(&["md"]).into_iter().map(|path| (path.clone(), Page::parse(&read(&path)))).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let pages = pages();
    let mut broken = Vec::new();
    let mut n_links = 0;
    for (path, page) in &pages {
        for Link { code, target } in
            page.links.iter().filter(|link| !link.target.contains("::") && !link.target.contains("://"))
        {
            n_links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { normalize(&path.with_file_name(file)) };
            let mut complain = |what: &str| broken.push(format!("{}: {target}: {what}", path.display()));
            if !root().join(&file).exists() {
                complain("no such file");
                continue;
            }
            let anchors = pages.get(&file).map(|page| &page.anchors);
            if !anchor.is_empty() && !anchors.is_some_and(|anchors| anchors.contains(anchor)) {
                complain("no such heading");
            }
            let is_source = file.extension().is_some_and(|extension| extension == "rs");
            if let (true, Some(name)) = (is_source, code.as_ref().filter(|code| !code.contains(['.', '/']))) {
                let name = name.rsplit("::").next().unwrap_or(name).trim_end_matches("()");
                if !read(&file).contains(name) {
                    complain(&format!("it does not mention `{name}`"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(n_links > 300, "only {n_links} links were found");
}

#[test]
fn every_document_can_be_reached_from_the_readme_by_links() {
    let pages = pages();
    let (mut reached, mut next) = (BTreeSet::new(), vec![PathBuf::from("README.md")]);
    while let Some(path) = next.pop() {
        let Some(page) = pages.get(&path) else { continue };
        if reached.insert(path.clone()) {
            let targets = page.links.iter().filter_map(|link| link.target.split('#').next());
            next.extend(targets.map(|target| normalize(&path.with_file_name(target))));
        }
    }
    let lost: Vec<_> = pages.keys().filter(|path| !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "no document links to {lost:?}");
}

#[test]
fn every_library_has_a_line_in_the_map_of_documents() {
    let map = read(Path::new("docs/README.md"));
    let manifests = files(&["toml"]).into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let libraries: Vec<PathBuf> =
        manifests.filter(|path| path.starts_with("libs") && path.components().count() == 3).collect();
    assert!(libraries.len() > 10, "{libraries:?}");
    for library in libraries {
        let readme = format!("](../{}/README.md) |", library.parent().unwrap().display());
        assert!(map.contains(&readme), "docs/README.md has no row with {readme}");
    }
}
