//! The size that a drawing's root element gives it. Reads nothing else of it.

use html5gum::{StartTag, Token, Tokenizer};

use super::raster::Size;

/// How many pixels wide and high the root element says that it is; none where it does not say both.
pub(crate) fn size(bytes: &[u8]) -> Option<Size> {
    let tags = Tokenizer::new(bytes).filter_map(|token| match token {
        Ok(Token::StartTag(tag)) => Some(tag),
        _ => None,
    });
    let root = tags.take(1).find(|tag| &tag.name[..] == b"svg")?;
    Some(Size { width: pixels(&root, b"width")?, height: pixels(&root, b"height")? })
}

/// A length in pixels, without a unit or with `px`.
fn pixels(root: &StartTag<()>, name: &[u8]) -> Option<u32> {
    let value = str::from_utf8(root.attributes.get(name)?).ok()?.trim();
    let number: f64 = value.strip_suffix("px").unwrap_or(value).trim_end().parse().ok()?;
    // Attributes of HTML take whole pixels.
    let whole = format!("{:.0}", number.max(0.0)).parse().ok()?;
    (1..=100_000).contains(&whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_is_as_large_as_its_root_says() {
        let of = |text: &str| size(text.as_bytes()).map(|size| (size.width, size.height));
        assert_eq!(
            of("<?xml version=\"1.0\"?>\n<!-- <svg> --><svg width=\"40\" height='20.4px'><rect width='9'/>"),
            Some((40, 20))
        );
        for none in [
            "<svg viewBox=\"0 0 4 4\">",
            "<svg width=\"100%\" height=\"10\">",
            "<g><svg width='1' height='1'>",
            "<svg width='-1' height='1e99'>",
            "",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
