//! What an editor asks to see beyond what visitors see. Decides nothing by itself.

/// Whether drafts are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drafts {
    /// As visitors see the site.
    #[default]
    LeftOut,
    /// As if they were no drafts.
    Shown,
}

/// Whether pages are shown that are not yet published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Future {
    /// As visitors see the site.
    #[default]
    LeftOut,
    /// As if they were published.
    Shown,
}

/// What is shown; by default what visitors see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Pages whose front matter says `draft: true`.
    pub drafts: Drafts,
    /// Pages whose `publish` is still to come.
    pub future: Future,
}
