//! Patterns of paths, `permalinks` in `site.yaml`: where the pages of a section stand. Pure.

use jiff::civil::Date;
use tieup_protocol::path::SitePath;

/// The words a pattern may hold.
pub(crate) const TOKENS: [&str; 5] = ["year", "month", "day", "slug", "section"];

/// A pattern such as `/:section/:year/:slug/`, or `/:section/:slug.html` for addresses that end like files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Year,
    Month,
    Day,
    Slug,
    Section,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadPattern {
    /// It does not begin with `/`, or ends with neither `/` nor an extension.
    Shape,
    /// It has this unknown word.
    Unknown(String),
    /// It has no `:slug`, so that every page would stand at one path.
    NoSlug,
}

/// Why a page cannot stand where its pattern says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPath {
    /// The pattern asks for a date, and the page has none.
    NoDate,
    /// What comes out is no path.
    Invalid,
}

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPattern> {
        let last = text.rsplit('/').next().unwrap_or_default();
        if !text.starts_with('/') || !(last.is_empty() || last.contains('.')) {
            return Err(BadPattern::Shape);
        }
        let mut parts = text.split(':');
        let mut pieces = vec![Piece::Text(parts.next().unwrap_or_default().to_owned())];
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(part.len());
            pieces.push(match &part[..end] {
                "year" => Piece::Year,
                "month" => Piece::Month,
                "day" => Piece::Day,
                "slug" => Piece::Slug,
                "section" => Piece::Section,
                unknown => return Err(BadPattern::Unknown(unknown.to_owned())),
            });
            pieces.push(Piece::Text(part[end..].to_owned()));
        }
        if pieces.contains(&Piece::Slug) { Ok(Self(pieces)) } else { Err(BadPattern::NoSlug) }
    }

    /// Where the page `slug` of the folder `section` stands on the site, or in the language, that begins at `home`.
    pub(crate) fn path(
        &self,
        home: &SitePath,
        section: &str,
        slug: &str,
        date: Option<Date>,
    ) -> Result<SitePath, NoPath> {
        let mut path = home.as_str().trim_end_matches('/').to_owned();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Year => path.push_str(&date.ok_or(NoPath::NoDate)?.strftime("%Y").to_string()),
                Piece::Month => path.push_str(&date.ok_or(NoPath::NoDate)?.strftime("%m").to_string()),
                Piece::Day => path.push_str(&date.ok_or(NoPath::NoDate)?.strftime("%d").to_string()),
                Piece::Slug => path.push_str(slug),
                // A page that lies in no folder has no section to name.
                Piece::Section if section.is_empty() && path.ends_with('/') => drop(path.pop()),
                Piece::Section => path.push_str(section),
            }
        }
        path.parse().map_err(|_| NoPath::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_paths() {
        let date: Option<Date> = "2026-03-09".parse().ok();
        let path = |pattern: &str, home: &str, date| {
            let pattern = Pattern::parse(pattern).unwrap();
            pattern.path(&home.parse().unwrap(), "news", "opening", date).map(|path| path.to_string())
        };
        assert_eq!(path("/:section/:year/:month/:day/:slug/", "/", date).as_deref(), Ok("/news/2026/03/09/opening/"));
        assert_eq!(path("/:section/:slug.html", "/ja/", None).as_deref(), Ok("/ja/news/opening.html"));
        assert_eq!(path("/:year/:slug/", "/", None), Err(NoPath::NoDate));
        assert_eq!(path("//:slug/", "/", None), Err(NoPath::Invalid));
        let of_no_section = Pattern::parse("/:section/:slug.html").unwrap();
        let about = of_no_section.path(&"/".parse().unwrap(), "", "about", None).unwrap();
        assert_eq!(about.as_str(), "/about.html");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, wrong) in [
            (":slug/", BadPattern::Shape),
            ("/:slug", BadPattern::Shape),
            ("/:year/", BadPattern::NoSlug),
            ("/:yaer/:slug/", BadPattern::Unknown("yaer".to_owned())),
        ] {
            assert_eq!(Pattern::parse(text), Err(wrong), "{text}");
        }
    }
}
