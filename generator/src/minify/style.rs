//! Style sheets. Rules and declarations stay as they are, in their order; how they are written gets shorter.

use lightningcss::printer::PrinterOptions;
use lightningcss::stylesheet::{ParserOptions, StyleSheet};
use tieup_protocol::diagnostic::Diagnostic;

/// Minifies the style sheet `text`.
///
/// Rules are not merged, and a declaration that a later one hides stays: it may be there for older browsers.
pub(super) fn style(file: &str, text: &str) -> Result<String, Diagnostic> {
    let bad =
        |message: String| Diagnostic::new("bad-style", file, format!("the style sheet cannot be read: {message}"));
    let sheet = StyleSheet::parse(text, ParserOptions::default()).map_err(|error| {
        let problem = bad(error.kind.to_string());
        match error.loc {
            Some(at) => problem.at_line(text, at.line as usize + 1, at.column as usize),
            None => problem,
        }
    })?;
    let options = PrinterOptions { minify: true, ..PrinterOptions::default() };
    Ok(sheet.to_css(options).map_err(|error| bad(error.kind.to_string()))?.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheets_keep_their_rules_and_what_older_browsers_need() {
        let text = "/*! licence */\n/* no */\n@layer a, b;\nmain {\n  height: 100vh;\n  height: 100dvh;\n  color: red !important;\n}\n\
                    .a { & > b { margin: 0px auto } }\nmain { color: blue }\n@media (width >= 40rem) { a { top: 0 } }\n";
        let known = "/*! licence */\n@layer a,b;main{height:100vh;height:100dvh;color:red!important}\
                     .a{&>b{margin:0 auto}}main{color:#00f}@media (width>=40rem){a{top:0}}";
        assert_eq!(style("a.css", text).unwrap(), known);
        let problem = style("a.css", "a { top: 0 }\nb { {").unwrap_err();
        assert_eq!((problem.code, problem.span.map(|span| span.line)), ("bad-style", Some(2)));
    }
}
