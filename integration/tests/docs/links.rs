//! Links of Markdown pages: to files of the repository, and to headings in its pages.

use regex_automata::meta::Regex;

use crate::pages::{Page, root};

/// Links of a page that lead to nothing, or out of the repository.
pub fn broken(page: &Page, pages: &[Page]) -> Vec<String> {
    if page.kind() != "md" {
        return Vec::new();
    }
    let link = Regex::new(r"\]\(([^()\s]+)\)").expect("a pattern");
    let text = without_code(&page.text);
    let targets = link.captures_iter(&text).map(|found| &text[found.get_group(1).expect("it takes part").range()]);
    let inside = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    let wrong = inside.filter(|target| !leads_somewhere(page, target, pages));
    wrong.map(|target| format!("{}: {target} leads to nothing", page.path)).collect()
}

fn leads_somewhere(page: &Page, target: &str, pages: &[Page]) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if file.is_empty() { Some(page.path.clone()) } else { joined(folder, file) };
    let Some(path) = path.filter(|path| root().join(path).exists() || pages.iter().any(|page| page.path == *path))
    else {
        return false;
    };
    let target = pages.iter().find(|page| page.path == path && page.kind() == "md");
    heading.is_empty() || target.is_none_or(|target| anchors(&target.text).any(|anchor| anchor == heading))
}

/// A relative path from the root; `None` when it leads out of that.
fn joined(folder: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What headings are linked by: small letters, hyphens for spaces, no other marks.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|mark| mark.is_alphanumeric() || matches!(mark, '-' | '_')).collect()
    })
}

/// The text without fenced examples.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::broken;
    use crate::pages::Page;

    #[test]
    fn a_link_leads_to_a_file_or_a_heading() {
        let b = Page::new("made-up/b.md", "# Of `two`, three: \n## 2.6 More\n");
        let good =
            "[b](b.md) [b](b.md#of-two-three) [b](../made-up/b.md#26-more) [a](#here) [web](https://a.example/x)";
        let a = Page::new("made-up/a.md", &format!("## Here\n{good}\n```\n[no](no.md)\n```\n"));
        assert_eq!(broken(&a, &[a.clone(), b.clone()]), [""; 0]);
        let bad = "[c](c.md) [b](b.md#none) [out](../../shared/x.md) [a](#there)";
        let a = Page::new("made-up/a.md", bad);
        let expected = ["c.md", "b.md#none", "../../shared/x.md", "#there"];
        assert_eq!(
            broken(&a, &[a.clone(), b]),
            expected.map(|target| format!("made-up/a.md: {target} leads to nothing"))
        );
    }
}
