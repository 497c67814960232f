//! Scripts and modules.

use oxc_allocator::Allocator;
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions, LegalComment};
use oxc_minifier::{CompressOptions, MangleOptions, MangleOptionsKeepNames, Minifier, MinifierOptions};
use oxc_parser::{Parser, ParserReturn};
use oxc_span::SourceType;
use tieup_protocol::diagnostic::Diagnostic;

/// Minifies a script or module.
///
/// What other scripts can see keeps its name: exports, everything at the top of a script that is no module, and what
/// `Function.name` says. Nothing is left out because it seems unused. Licences stay.
pub(super) fn script(file: &str, text: &str) -> Result<String, Diagnostic> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::unambiguous()).parse();
    // What is no script may still be a module: one without `import` and `export` that awaits at its top.
    let parsed =
        if parsed.diagnostics.is_empty() { parsed } else { Parser::new(&allocator, text, SourceType::mjs()).parse() };
    if let Some(problem) = problem(file, text, &parsed) {
        return Err(problem);
    }
    let mut program = parsed.program;
    let mangle = MangleOptions { keep_names: MangleOptionsKeepNames::all_true(), ..MangleOptions::default() };
    let options = MinifierOptions { mangle: Some(mangle), compress: Some(CompressOptions::safest()) };
    let minified = Minifier::new(options).minify(&allocator, &mut program);
    let comments = CommentOptions { legal: LegalComment::Inline, ..CommentOptions::disabled() };
    let options = CodegenOptions { minify: true, comments, ..CodegenOptions::default() };
    Ok(Codegen::new().with_options(options).with_scoping(minified.scoping).build(&program).code)
}

fn problem(file: &str, text: &str, parsed: &ParserReturn<'_>) -> Option<Diagnostic> {
    let first = parsed.diagnostics.first()?;
    let problem = Diagnostic::new("bad-script", file, format!("the script cannot be read: {}", first.message));
    Some(match first.labels.first() {
        Some(label) => problem.at_offset(text, label.offset() as usize, (label.len() as usize).max(1)),
        None => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minified(text: &str) -> String {
        script("a.js", text).unwrap()
    }

    #[test]
    fn modules_keep_what_they_import_and_export() {
        let text = "// why\nimport { far as near } from \"./far.js\";\nexport const price = (amount) => {\n  const tax = amount * 0.1;\n  return near(amount + tax);\n};\nexport default class Cart { #sum = 0; add(n) { this.#sum += n; } }\n";
        let known = minified(text);
        for kept in ["import{far as", "from\"./far.js\"", "price", "export", "default class Cart", "add("] {
            assert!(known.contains(kept), "{kept}: {known}");
        }
        assert!(known.len() < text.len() && !known.contains("why") && !known.contains("tax"), "{known}");
        assert!(minified("const page = await fetch('/a');\nshow(page);").contains("await fetch"));
    }

    #[test]
    fn a_script_keeps_what_others_may_call() {
        let known = minified(
            "/*! licence */\nvar shop = { open: true };\nfunction helper(first) { return first + 1; }\nwith (shop) { open; }",
        );
        for kept in ["/*! licence */", "shop", "open", "function helper("] {
            assert!(known.contains(kept), "{kept}: {known}");
        }
    }

    #[test]
    fn a_mistake_has_its_place() {
        let problem = script("a.js", "let a = 1;\nlet b = ;\n").unwrap_err();
        assert_eq!((problem.code, problem.span.map(|span| span.line)), ("bad-script", Some(2)));
    }
}
