//! Fewer bytes that say the same: pages, style sheets and scripts. Each is a function of its input alone.

mod html;
mod script;
mod style;

use std::collections::BTreeMap;
use std::mem;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;

use crate::output::OutputFile;
use crate::source;

pub(crate) use html::html;

/// Minifies the style sheets and scripts among `files`.
pub(crate) fn files(files: &mut BTreeMap<SitePath, OutputFile>, problems: &mut Vec<Diagnostic>) {
    for (path, file) in files {
        match asset(path.as_str(), &file.source, &file.bytes) {
            Ok(Some(bytes)) => file.bytes = bytes.into(),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
}

/// Minifies the style sheet or script with the name `path`; none for other files, and for those that are minified
/// already, as `.min.` in their names says.
///
/// # Errors
/// Where in `file` it is no style sheet or script.
pub(crate) fn asset(path: &str, file: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, Diagnostic> {
    let name = path.to_ascii_lowercase();
    let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| stem.strip_suffix(".min").is_none()) else {
        return Ok(None);
    };
    let minify = match extension {
        "css" => style::style,
        "js" | "mjs" => script::script,
        _ => return Ok(None),
    };
    let text = source::text(file, bytes.to_vec())?;
    let minified = minify(file, &text).map_err(|problem| {
        let stem = stem.rsplit('/').next().unwrap_or_default();
        problem.help(format!("mend it, or name the file {stem}.min.{extension}, which is served as it is"))
    })?;
    Ok(Some(minified.into_bytes()))
}

/// Minifies a page in its place.
pub(crate) fn page(page: &mut Vec<u8>) {
    let minified = html(page);
    drop(mem::replace(page, minified));
}
