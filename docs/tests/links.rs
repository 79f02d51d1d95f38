//! Links of the Markdown files lead somewhere, and the book has all its chapters.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use outpost_book::CHAPTERS;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The repository on the web: links to it are links to its files.
const WEB: &str = "https://github.com/outpost-mail/outpost/blob/main/";

fn root() -> PathBuf {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR"));
    docs.parent().unwrap().to_owned()
}

/// All Markdown files below a folder, without those that are built or hidden.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_page = path.extension().is_some_and(|end| end == "md");
        if path.is_dir() && !name.starts_with(['.', '_']) && !name.starts_with("target") {
            pages(&path, found);
        } else if is_page {
            found.push(path);
        }
    }
}

/// The links of a page, and the anchors of its headings.
#[derive(Debug, Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    page.add_anchor(&heading.take().unwrap_or_default());
                }
                _ => {}
            }
        }
        page
    }

    /// The anchor that GitHub and mdBook give a heading.
    fn add_anchor(&mut self, heading: &str) {
        let kept = heading.to_lowercase().replace(' ', "-");
        let anchor: String = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            .collect();
        let number = (1..).map(|number| format!("{anchor}-{number}"));
        let mut names = std::iter::once(anchor.clone()).chain(number);
        let free = names.find(|name| !self.anchors.contains(name));
        self.anchors.extend(free);
    }
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn links_between_files_lead_somewhere() {
    let root = root();
    let mut paths = Vec::new();
    pages(&root, &mut paths);
    let read = |path: &PathBuf| (path.clone(), Page::read(&fs::read_to_string(path).unwrap()));
    let pages: BTreeMap<PathBuf, Page> = paths.iter().map(read).collect();
    assert!(pages.len() > 20, "only {} pages", pages.len());
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            let local = match link.strip_prefix(WEB) {
                Some(local) => root.join(local),
                None if link.contains("://") || link.starts_with("mailto:") => continue,
                None if link.starts_with('#') => PathBuf::from(format!("{}{link}", path.display())),
                None => path.parent().unwrap().join(link),
            };
            let local = local.to_string_lossy().into_owned();
            let (file, anchor) = local.split_once('#').unwrap_or((&local, ""));
            let file = plain(Path::new(file));
            let has_anchor = |page: &Page| anchor.is_empty() || page.anchors.contains(anchor);
            // A page of the book knows nothing but the book.
            let book = root.join("docs/chapters");
            let leaves =
                path.starts_with(&book) && !link.starts_with(WEB) && !file.starts_with(&book);
            if leaves || !file.exists() || !pages.get(&file).is_none_or(has_anchor) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_summary_names_all_chapters_and_they_are_tests() {
    let chapters = root().join("docs/chapters");
    let summary = fs::read_to_string(chapters.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> = Page::read(&summary).links.into_iter().collect();
    let files = fs::read_dir(&chapters).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    let tested: BTreeSet<String> = CHAPTERS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, listed);
    assert_eq!(files, tested);
}

/// `path`, `path:ANCHOR` or `path:FIRST:`, as mdBook includes it.
fn included(directive: &str, chapters: &Path) -> Result<String, String> {
    let (path, part) = directive.split_once(':').unwrap_or((directive, ""));
    let text = fs::read_to_string(chapters.join(path)).map_err(|error| error.to_string())?;
    if part.is_empty() {
        // A blank line would end the HTML that the picture is in.
        let blank = path.ends_with(".svg") && text.lines().any(|line| line.trim().is_empty());
        return if blank {
            Err("a blank line".into())
        } else {
            Ok(text)
        };
    }
    if let Some(first) = part.strip_suffix(':') {
        let first: usize = first.parse().map_err(|_| "no line number".to_owned())?;
        let rest: Vec<&str> = text.lines().skip(first - 1).collect();
        let begins = rest.first().is_some_and(|line| line.starts_with("use "));
        return if begins {
            Ok(rest.join("\n"))
        } else {
            Err("does not begin with `use`".into())
        };
    }
    let between = text.split_once(&format!("// ANCHOR: {part}\n"));
    let between =
        between.and_then(|(_, rest)| rest.split_once(&format!("// ANCHOR_END: {part}\n")));
    between
        .map(|(text, _)| text.to_owned())
        .ok_or("no such anchor".to_owned())
}

#[test]
fn what_chapters_include_is_there() {
    let chapters = root().join("docs/chapters");
    let mut seen = 0;
    for chapter in CHAPTERS {
        let text = fs::read_to_string(chapters.join(chapter)).unwrap();
        for part in text.split("{{#include ").skip(1) {
            let (directive, _) = part.split_once("}}").unwrap();
            let included = included(directive, &chapters);
            assert!(
                included.is_ok_and(|text| !text.is_empty()),
                "{chapter}: {directive}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn the_two_first_programs_have_fifteen_lines_at_most() {
    for example in ["submission.rs", "direct.rs"] {
        let chapters = root().join("docs/chapters");
        let directive = format!("../../outpost/examples/{example}:8:");
        let program = included(&directive, &chapters).unwrap();
        let lines = program
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count();
        assert!(lines <= 15, "{example}: {lines} lines");
    }
}
