//! What is written about the program, held against itself: every section of the specification that is cited anywhere is
//! there, and links lead to something.

mod citations;
mod links;
mod pages;

use citations::Sections;
use pages::Page;

#[test]
fn every_section_of_the_specification_that_is_cited_is_there() {
    let pages = Page::all();
    let sections = Sections::of(&pages);
    let mut cited = 0;
    let mut wrong = Vec::new();
    for page in &pages {
        let citations = citations::of(page);
        cited += citations.len();
        let missing = citations.into_iter().filter(|citation| !sections.contain(citation));
        wrong.extend(missing.map(|citation| {
            format!("{}:{}: {} has no section {}", page.path, citation.line, citation.page, citation.section)
        }));
    }
    assert!(cited > 100, "only {cited} citations were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_between_pages_lead_to_something() {
    let pages = Page::all();
    let broken: Vec<String> = pages.iter().flat_map(|page| links::broken(page, &pages)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
