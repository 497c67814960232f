//! What templates ask of a site through functions, noted while they run: a page that was made stays good as long as
//! the answers are the same.

use std::cell::RefCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};
use tieup_protocol::path::SitePath;

use crate::print::{Print, Printer};
use crate::uses::Fields;
use crate::view::View;
use crate::{head, related};

/// A question that a template asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Question {
    /// `get_page`: the page at a path.
    Page(String),
    /// `asset`: the file at a path.
    Asset(String),
    /// `image`: the picture at a path.
    Image(String),
    /// `get_section`: the section at a path, with its pages.
    Section(String),
    /// `related`: the pages most related to the one at a path, at most so many.
    Related(String, usize),
    /// `head_meta`: the head of the page at a path, which may be a later page of the listing that begins at another.
    Head(String, Option<String>),
}

/// Who is asked, and what was asked of it, while one page is made.
struct Asking {
    view: Arc<View>,
    asked: Vec<Question>,
}

thread_local! {
    /// Templates are compiled once and used for many views, so their functions find here whom to ask.
    static ASKING: RefCell<Option<Asking>> = const { RefCell::new(None) };
}

/// Does `work`, whose templates ask `view`, and returns what they asked, each question once.
pub(crate) fn noted<R>(view: &Arc<View>, work: impl FnOnce() -> R) -> (R, Vec<Question>) {
    let outer = ASKING.replace(Some(Asking { view: view.clone(), asked: Vec::new() }));
    let result = work();
    let mut asked = ASKING.replace(outer).map(|asking| asking.asked).unwrap_or_default();
    asked.sort();
    asked.dedup();
    (result, asked)
}

/// Adds the functions with which templates ask.
pub(crate) fn register(tera: &mut Tera) {
    tera.register_function("get_page", |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        let path = options.must_get::<&str>("path")?;
        ask(Question::Page(path.to_owned()), |view| view.page(path))
    });
    tera.register_function("asset", |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        let path = options.must_get::<&str>("path")?;
        ask(Question::Asset(path.to_owned()), |view| view.assets().asset(path))
    });
    tera.register_function("image", |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        let path = options.must_get::<&str>("path")?;
        ask(Question::Image(path.to_owned()), |view| view.assets().image(path))
    });
    tera.register_function("get_section", |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        let path = options.must_get::<&str>("path")?;
        ask(Question::Section(path.to_owned()), |view| view.section(path))
    });
    tera.register_function("related", |options: Kwargs, state: &State<'_>| -> TeraResult<Value> {
        let limit = options.get::<usize>("limit")?.unwrap_or(related::USUAL_LIMIT);
        let path = options.get::<&str>("path")?.map_or_else(|| here(state, "related"), |path| Ok(path.to_owned()))?;
        ask(Question::Related(path.clone(), limit), |view| related::related(view, &path, limit))
    });
    tera.register_function("head_meta", |_: Kwargs, state: &State<'_>| -> TeraResult<Value> {
        let (path, listing) = (here(state, "head_meta")?, text_of(state, "paginator", "first")?);
        let html = |view: &View| Ok(Value::safe_string(&head::head_meta(view, &path, listing.as_deref())));
        ask(Question::Head(path.clone(), listing.clone()), html)
    });
}

/// The path of the page that is made, which the function `name` is about where nothing else is said.
fn here(state: &State<'_>, name: &str) -> TeraResult<String> {
    let none = || Error::message(format!("`{name}` is called where there is no `page`"));
    text_of(state, "page", "path")?.ok_or_else(none)
}

fn text_of(state: &State<'_>, name: &str, key: &str) -> TeraResult<Option<String>> {
    let value = state.get::<Value>(name)?;
    Ok(value.and_then(|value| Some(value.get_from_path(key)?.as_str()?.to_owned())))
}

/// Notes a question before it is answered, so that what is missing is noted too.
fn ask(question: Question, answer: impl FnOnce(&View) -> Result<Value, String>) -> TeraResult<Value> {
    let view = ASKING.with_borrow_mut(|asking| {
        let asking = asking.as_mut()?;
        asking.asked.push(question);
        Some(asking.view.clone())
    });
    let view = view.ok_or_else(|| Error::message("there is no site to ask here"))?;
    answer(&view).map_err(Error::message)
}

impl Question {
    /// Whether the file at `path`, which asked, hears of other pages. Mostly one asks for its own head.
    pub(crate) fn is_about_others(&self, path: &SitePath) -> bool {
        match self {
            Self::Asset(_) | Self::Image(_) => false,
            Self::Head(about, _) => about != path.as_str(),
            Self::Page(_) | Self::Section(_) | Self::Related(..) => true,
        }
    }

    /// The fingerprint of the answer that `view` gives, as far as the asking template can look at it; equal for all
    /// questions that have no answer.
    pub(crate) fn print(&self, view: &View, fields: Fields) -> Print {
        let at = |path: &str| path.parse::<SitePath>().ok().and_then(|path| view.at(&path));
        match self {
            Self::Asset(path) => print_value(view.assets().asset(path)),
            Self::Image(path) => print_value(view.assets().image(path)),
            Self::Page(path) => at(path).map_or_else(Print::default, |at| view.print_summary(at, fields)),
            Self::Section(path) => at(path).map_or_else(Print::default, |at| {
                Print::all([view.print_summary(at, fields), view.print_listing(at, fields)])
            }),
            Self::Related(path, limit) => at(path).map_or_else(Print::default, |at| {
                Print::all(related::nearest(view, at, *limit).into_iter().map(|at| view.print_summary(at, fields)))
            }),
            Self::Head(path, listing) => head::print(view, path, listing.as_deref()),
        }
    }
}

fn print_value(answer: Result<Value, String>) -> Print {
    answer.map_or_else(|_| Print::default(), |value| Printer::default().value(&value).finish())
}
