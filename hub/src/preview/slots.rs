//! Marks around the slots of a page, as comments, from which the script draws their outlines.

use tieup_protocol::manifest::SlotRange;

/// `page` with a comment before and after each of its `slots`; `filled` names those that hold a sample.
pub(super) fn marked(page: &[u8], slots: &[SlotRange], filled: &[&str]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(page.len());
    let mut rest = page;
    for slot in slots {
        let done = page.len() - rest.len();
        let ends = (usize::try_from(slot.at).ok(), usize::try_from(slot.length).ok());
        let (Some(at), Some(length)) = ends else { continue };
        let Some(start) = at.checked_sub(done).filter(|start| start.saturating_add(length) <= rest.len()) else {
            continue;
        };
        let what = if filled.contains(&slot.name.as_str()) { "sample" } else { "default" };
        marked.extend_from_slice(&rest[..start]);
        marked.extend_from_slice(format!("<!--slot {} {what}-->", slot.name).as_bytes());
        marked.extend_from_slice(&rest[start..start + length]);
        marked.extend_from_slice(b"<!--/slot-->");
        rest = &rest[start + length..];
    }
    marked.extend_from_slice(rest);
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_stands_between_its_marks() {
        let slot = |name: &str, at, length| SlotRange { name: name.to_owned(), at, length };
        let slots = [slot("nav", 3, 2), slot("banner", 9, 0), slot("beyond", 5, 90)];
        let page = marked(b"<a>xx</a><p>", &slots, &["nav"]);
        let wanted = "<a><!--slot nav sample-->xx<!--/slot--></a><!--slot banner default--><!--/slot--><p>";
        assert_eq!(String::from_utf8(page).unwrap(), wanted);
    }
}
