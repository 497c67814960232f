//! The log as a person at a terminal reads it: the time of day by their clock, what is wrong, a sentence, and what it is
//! about. Where a program reads it, such as a service manager, the lines are those of the library instead.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::printable;
use crate::{complaint, paint};

/// Lines for people.
pub(super) struct Told;

impl<S, N> FormatEvent<S, N> for Told
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let text = printable(&said.lines(*event.metadata().level()));
        let text = if to.has_ansi_escapes() { paint::paint(&text) } else { text };
        write!(to, "{} {text}", Zoned::now().strftime("%H:%M:%S"))
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    sentence: String,
    /// What it is about: `partner harbor-shop`.
    about: Vec<String>,
    /// The error with its causes, a line each.
    error: String,
}

impl Said {
    /// The lines for it.
    fn lines(&self, level: Level) -> String {
        let lead = match level {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        // What follows the first line is a complaint with lines of its own.
        let (sentence, complaint) = self.sentence.split_once('\n').unwrap_or((&self.sentence, ""));
        let mut text = format!("{lead}{sentence}");
        if !self.about.is_empty() {
            let _ = write!(text, " ({})", self.about.join(", "));
        }
        text.push('\n');
        text.push_str(complaint);
        if !complaint.is_empty() && !complaint.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&self.error.replacen("error: ", "caused by: ", 1));
        text
    }
}

impl Visit for Said {
    fn record_error(&mut self, _: &Field, error: &(dyn StdError + 'static)) {
        self.error = complaint::render(error);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.sentence = format!("{value:?}"),
            name => self.about.push(format!("{} {value:?}", name.replace('_', " "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What is said of the log of `happens`, without the times.
    fn said(happens: impl FnOnce()) -> Vec<String> {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).event_format(Told);
        let lines = lines.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), happens);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let without_time = |line: &str| match line.split_once(' ') {
            Some((time, rest)) if time.len() == 8 && time.matches(':').count() == 2 => rest.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(without_time).collect()
    }

    #[test]
    fn a_person_reads_sentences() {
        let lines = said(|| {
            tracing::info!(partner = %"harbor-shop", code = %"779-952", "a partner joined");
            tracing::warn!(partner = %"north", "the originals were not published\nerror: two pages at one path");
        });
        let expected = [
            "a partner joined (partner harbor-shop, code 779-952)",
            "warning: the originals were not published (partner north)",
            "error: two pages at one path",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_nothing_is_obeyed() {
        let error = io::Error::other("the disk is full");
        let lines = said(|| {
            let error = &error as &(dyn StdError + 'static);
            tracing::error!(error, way = "\u{1b}[2K", "the operator was not told");
        });
        assert_eq!(lines, ["error: the operator was not told (way \\u001b[2K)", "caused by: the disk is full"]);
    }
}
