//! What Tera complains about, in the words of this product: a code, a message, and what to do.

use tieup_protocol::diagnostic::nearest;

use super::names::{FILTERS, FUNCTIONS, TAGS, TESTS};

/// A complaint in our words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The diagnostic's code.
    pub(super) code: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
}

/// The names that the templates themselves define.
pub(super) struct Defined<'a> {
    /// Templates.
    pub(super) templates: Vec<&'a str>,
    /// Components.
    pub(super) components: Vec<&'a str>,
    /// Blocks.
    pub(super) blocks: Vec<&'a str>,
}

/// Puts `complaint` into our words. `at` is what stands where Tera points; `code` is for what has no code of its own.
pub(super) fn reword(code: &'static str, complaint: &str, at: &str, defined: &Defined<'_>) -> Told {
    let (wrong, known) = split(complaint);
    // Of several names Tera tells the first at random.
    let name = wrong.split('`').skip(1).step_by(2).min().unwrap_or_default();
    let begins = |begin: &str| wrong.starts_with(begin);
    let (code, message, known) = if begins("Unknown filter") {
        ("unknown-filter", format!("there is no filter `{name}`"), FILTERS.to_vec())
    } else if begins("Unknown test") {
        ("unknown-test", format!("there is no test `{name}`"), TESTS.to_vec())
    } else if begins("Unknown function") {
        ("unknown-function", format!("there is no function `{name}`"), FUNCTIONS.to_vec())
    } else if begins("Unknown component") {
        ("unknown-component", format!("there is no component `{name}`"), defined.components.clone())
    } else if begins("Unknown template") {
        ("missing-template", format!("there is no template `{name}`"), defined.templates.clone())
    } else if begins("Unknown argument") {
        ("unknown-argument", format!("the component has no argument `{name}`"), known)
    } else if begins("Block ") && wrong.contains("not defined in any parent") {
        let message = format!("no template that this one extends has a block `{name}`");
        ("unknown-block", message, defined.blocks.clone())
    } else if begins("Variable ") {
        ("undefined-variable", format!("there is no variable `{name}` here"), known)
    } else if begins("Field ") {
        ("undefined-field", format!("there is no field `{name}` here"), known)
    } else if begins("Unknown tag") {
        return tag(at);
    } else {
        return rest(code, wrong);
    };
    Told { code, message, help: suggestion(name, &known) }
}

/// Tera writes "What is wrong. What there is instead: names".
fn split(complaint: &str) -> (&str, Vec<&str>) {
    let lists = [". Available fields: ", ". Available variables: ", ". Possible argument(s) are: "];
    match lists.iter().find_map(|list| complaint.split_once(list)) {
        Some((wrong, names)) => (wrong, names.split(", ").map(|name| name.trim_matches('`')).collect()),
        None => (complaint.trim_end_matches('.'), Vec::new()),
    }
}

/// The most names that are worth reading.
const FEW: usize = 16;

fn suggestion(name: &str, known: &[&str]) -> Option<String> {
    match nearest(name, known.iter().copied().filter(|known| *known != name)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() || known.len() > FEW => None,
        None => Some(format!("these exist: {}", known.join(", "))),
    }
}

fn tag(word: &str) -> Told {
    let help = nearest(word, TAGS).map(|near| format!("did you mean `{near}`?"));
    Told { code: "template-syntax", message: format!("there is no tag `{word}`"), help }
}

fn rest(code: &'static str, complaint: &str) -> Told {
    if let Some((message, advice)) = complaint.split_once("; did you mean ") {
        // Our own functions and filters say it in one sentence, since Tera has room for no more.
        let code = if message.contains("has no slot") { "unknown-slot" } else { code };
        return Told { code, message: message.to_owned(), help: Some(format!("did you mean {advice}")) };
    }
    let told = |message: String| Told { code, message, help: None };
    if let Some(name) = complaint.strip_prefix("Missing keyword argument ") {
        return told(format!("the argument {name} is missing"));
    }
    if complaint == "Unexpected end of input" {
        return told("the template ends before this is closed".to_owned());
    }
    let types = complaint.strip_prefix("Invalid type for the value, expected `");
    match types.and_then(|types| types.trim_end_matches('`').split_once("` but got `")) {
        Some((expected, found)) => told(format!("this is {}, and must be {}", kind(found), kind(expected))),
        None => told(complaint.to_owned()),
    }
}

/// A type of Rust or Tera as a template's author knows it.
fn kind(name: &str) -> &str {
    match name {
        "string" | "&str" | "String" | "str" => "a text",
        "i64" | "u64" | "i128" | "u128" | "usize" | "isize" | "i32" | "u32" => "a whole number",
        "f64" | "f32" => "a number",
        "array" => "a list",
        "map/struct" => "a mapping",
        "bool" => "true or false",
        "undefined" | "none" => "nothing",
        other => other,
    }
}
