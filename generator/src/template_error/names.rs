//! The names that templates can use, for suggestions: Tera keeps its own to itself.

/// Filters, Tera's and ours.
pub(super) const FILTERS: [&str; 40] = [
    "abs",
    "capitalize",
    "date",
    "default",
    "escape",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "group_by",
    "indent",
    "int",
    "join",
    "keys",
    "last",
    "length",
    "lower",
    "newlines_to_br",
    "nth",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "safe",
    "slot",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
    "values",
    "wordcount",
    "yen",
];

/// Tests, all of them Tera's.
pub(super) const TESTS: [&str; 17] = [
    "array",
    "bool",
    "containing",
    "defined",
    "divisible_by",
    "ending_with",
    "even",
    "float",
    "integer",
    "iterable",
    "map",
    "none",
    "number",
    "odd",
    "starting_with",
    "string",
    "undefined",
];

/// Functions, Tera's and ours.
pub(super) const FUNCTIONS: [&str; 8] =
    ["asset", "get_page", "get_section", "head_meta", "image", "range", "related", "throw"];

/// Tags, with those that end others.
pub(super) const TAGS: [&str; 19] = [
    "block",
    "break",
    "component",
    "continue",
    "elif",
    "else",
    "endblock",
    "endcomponent",
    "endfilter",
    "endfor",
    "endif",
    "endraw",
    "extends",
    "filter",
    "for",
    "if",
    "include",
    "raw",
    "set",
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tera::Tera;
    use walkdir::WalkDir;

    use super::*;

    #[test]
    fn what_this_crate_registers_is_listed() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for entry in WalkDir::new(source).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file())
        {
            let text = fs::read_to_string(entry.path()).unwrap();
            for (call, known) in [("_filter(\"", &FILTERS[..]), ("_function(\"", &FUNCTIONS), ("_test(\"", &TESTS)] {
                let call = format!("tera.register{call}");
                for name in text.split(&call).skip(1).filter_map(|rest| rest.split('"').next()) {
                    assert!(known.contains(&name), "`{name}` of {} is not listed", entry.path().display());
                }
            }
        }
    }

    #[test]
    fn what_is_listed_of_teras_exists() {
        let known = |template: String| match Tera::new().add_raw_template("x", &template) {
            Ok(()) => true,
            Err(error) => !error.to_string().contains("Unknown"),
        };
        let ours = ["date", "slot", "yen", "asset", "get_page", "get_section", "head_meta", "image", "related"];
        let of = |names: &'static [&str]| names.iter().filter(move |name| !ours.contains(name));
        assert!(of(&FILTERS).all(|name| known(format!("{{{{ a | {name} }}}}"))));
        assert!(of(&TESTS).all(|name| known(format!("{{{{ a is {name} }}}}"))));
        assert!(of(&FUNCTIONS).all(|name| known(format!("{{{{ {name}() }}}}"))));
        assert!(!known("{{ a | uper }}".to_owned()));
    }
}
