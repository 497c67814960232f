//! The table of contents: headings, each holding those below it.

use tera::{Map, Value};

use crate::anchors::Heading;

/// The headings as a tree of `{level, id, title, children}`.
pub(crate) fn value(headings: &[Heading]) -> Value {
    let mut rest = headings;
    let mut tree = Vec::new();
    while !rest.is_empty() {
        tree.push(branch(&mut rest));
    }
    Value::from(tree)
}

/// Takes the first heading and those below it. Levels go to six, so the tree is at most six deep.
fn branch(rest: &mut &[Heading]) -> Value {
    let [heading, after @ ..] = *rest else { return Value::none() };
    *rest = after;
    let mut children = Vec::new();
    while rest.first().is_some_and(|next| next.level > heading.level) {
        children.push(branch(rest));
    }
    let mut map = Map::new();
    map.insert("level".into(), Value::from(heading.level));
    map.insert("id".into(), Value::from(heading.id.as_str()));
    map.insert("title".into(), Value::from(heading.title.as_str()));
    map.insert("children".into(), Value::from(children));
    Value::from(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_stand_below_the_ones_before_them() {
        let heading = |(level, id): (u8, &str)| Heading { level, id: id.to_owned(), title: id.to_owned() };
        let headings: Vec<Heading> = [(3, "a"), (2, "b"), (4, "c"), (3, "d"), (2, "e")].map(heading).into();
        let shown = value(&headings);
        let ids = |path: &str| shown.get_from_path(path).and_then(Value::as_str).map(str::to_owned);
        assert_eq!(shown.len(), Some(3));
        assert_eq!(ids("1.children.0.id").as_deref(), Some("c"));
        assert_eq!(ids("1.children.1.id").as_deref(), Some("d"));
        assert_eq!(ids("2.id").as_deref(), Some("e"));
    }
}
