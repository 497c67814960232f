//! A theme's templates as a list that people read: names, what they extend, and the blocks that can be filled anew.

use tieup_generator::Framework;

/// A line for each template.
pub(super) fn list(framework: &Framework) -> String {
    let mut lines = Vec::new();
    for (name, text) in framework.template_texts() {
        let parent = words(&text, "extends").next().map(|parent| format!("extends `{parent}`"));
        let blocks: Vec<String> = words(&text, "block").map(|block| format!("`{block}`")).collect();
        let blocks = (!blocks.is_empty()).then(|| format!("blocks: {}", blocks.join(", ")));
        let parts: Vec<String> = [Some(format!("- `{name}`")), parent, blocks].into_iter().flatten().collect();
        lines.push(parts.join(", "));
    }
    lines.join("\n")
}

/// What follows `keyword` in each tag that begins with it.
fn words<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    let tags = text.split("{%").skip(1).filter_map(|tag| tag.split("%}").next());
    tags.filter_map(move |tag| {
        let mut words = tag.trim_start_matches('-').split_whitespace();
        (words.next() == Some(keyword)).then(|| words.next()).flatten()
    })
    .map(|word| word.trim_matches('"'))
}
