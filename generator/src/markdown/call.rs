//! How a text calls a component of the theme: as templates do, with values that are written out.
//!
//! `{{ <name key="text" other={3} /> }}` stands for itself, `{% <name> %} ... {% </name> %}` around a body. The values
//! in braces are JSON.

use std::ops::Range;

use serde_json::{Deserializer, Value};

use super::Span;
use super::hole::{Argument, Mistake};

/// What a text has between `{{` and `}}` or `{%` and `%}`.
#[derive(Debug)]
pub(super) struct Call {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) form: Form,
}

/// What a call is.
#[derive(Debug)]
pub(super) enum Form {
    /// A call without a body.
    Alone(Component),
    /// What begins a body.
    Open(Component),
    /// What ends a body.
    Close(Name),
    /// It is written wrongly.
    Wrong(Mistake),
    /// It has a backslash before it, and is shown.
    Escaped,
}

/// A component and what it is given.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: Name,
    pub(super) arguments: Vec<Argument>,
}

/// A component's name and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) span: Span,
}

/// Every call in `text` from byte `start` on, those inside code too.
pub(super) fn find(text: &str, start: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut at = start;
    while let Some(found) = memchr::memchr(b'{', &text.as_bytes()[at..]) {
        let begin = at + found;
        match Reader::begin(text, begin) {
            Some(reader) => {
                let call = reader.call();
                at = call.range.end;
                calls.push(call);
            }
            None => at = begin + 1,
        }
    }
    calls
}

/// Reads one call.
struct Reader<'a> {
    text: &'a str,
    begin: usize,
    at: usize,
    fence: Fence,
}

/// What stands around a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fence {
    /// `{{` and `}}`.
    Print,
    /// `{%` and `%}`.
    Tag,
}

impl Fence {
    fn end(self) -> &'static str {
        match self {
            Self::Print => "}}",
            Self::Tag => "%}",
        }
    }
}

impl<'a> Reader<'a> {
    /// A reader behind the `<` of what may be a call; none where it is no call.
    fn begin(text: &'a str, begin: usize) -> Option<Self> {
        let fence = match text.as_bytes().get(begin + 1)? {
            b'{' => Fence::Print,
            b'%' => Fence::Tag,
            _ => return None,
        };
        let mut reader = Self { text, begin, at: begin + 2, fence };
        reader.take("-");
        reader.blank();
        let named = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_call = reader.take("<") && named(reader.rest().strip_prefix('/').unwrap_or(reader.rest()));
        is_call.then_some(reader)
    }

    fn call(mut self) -> Call {
        let backslashes = self.text[..self.begin].bytes().rev().take_while(|byte| *byte == b'\\').count();
        let read = if self.take("/") { self.close() } else { self.component() };
        let form = read.and_then(|form| self.end().map(|()| form));
        let form = form.unwrap_or_else(|mistake| {
            self.at = self.recover();
            Form::Wrong(mistake)
        });
        let form = if backslashes % 2 == 1 { Form::Escaped } else { form };
        Call { range: self.begin..self.at, form }
    }

    fn component(&mut self) -> Result<Form, Mistake> {
        let name = self.name();
        let mut arguments: Vec<Argument> = Vec::new();
        loop {
            self.blank();
            if !self.rest().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                break;
            }
            let argument = self.argument()?;
            if arguments.iter().any(|other| other.name == argument.name) {
                return Err(mistake(format!("`{}` is given twice", argument.name), argument.span, None));
            }
            arguments.push(argument);
        }
        let alone = self.take("/");
        let component = Component { name, arguments };
        let (name, span) = (&component.name.name, component.name.span);
        if !self.take(">") {
            return Err(self.no_argument(name, span));
        }
        match (alone, self.fence) {
            (true, Fence::Print) => Ok(Form::Alone(component)),
            (false, Fence::Tag) => Ok(Form::Open(component)),
            (true, Fence::Tag) => {
                let help = format!("write {{{{ <{name} ... /> }}}}");
                Err(mistake(format!("`{name}` is called without a body between `{{%` and `%}}`"), span, Some(help)))
            }
            (false, Fence::Print) => {
                let help = format!("write {{{{ <{name} ... /> }}}}, or {{% <{name} ...> %}} body {{% </{name}> %}}");
                Err(mistake(format!("`{name}` is neither closed nor has it a body"), span, Some(help)))
            }
        }
    }

    fn no_argument(&self, name: &str, span: Span) -> Mistake {
        let is_over = self.rest().is_empty() || self.text[span.range().end..self.at].contains('\n');
        let message = if is_over { "has no end" } else { "goes on with what is no argument" };
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        let span = if is_over { span } else { Span::new(self.at..self.at + length) };
        let help = "arguments are written name=\"text\" or name={3}";
        mistake(format!("the call of `{name}` {message}"), span, Some(help.to_owned()))
    }

    fn close(&mut self) -> Result<Form, Mistake> {
        let name = self.name();
        self.blank();
        if self.fence == Fence::Tag && self.take(">") {
            return Ok(Form::Close(name));
        }
        let help = format!("write {{% </{}> %}}", name.name);
        Err(mistake(format!("the end of `{}` is written wrongly", name.name), name.span, Some(help)))
    }

    fn argument(&mut self) -> Result<Argument, Mistake> {
        let Name { name, span } = self.name();
        self.blank();
        let wrong = |what: &str| {
            let help = format!("write {name}=\"text\", {name}={{3}} or {name}={{true}}");
            mistake(format!("the argument `{name}` {what}"), span, Some(help))
        };
        if !self.take("=") {
            return Err(wrong("has no value"));
        }
        self.blank();
        let value = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => self.string(quote).ok_or_else(|| wrong("has no quote at its end"))?,
            Some('{') => self.literal().ok_or_else(|| wrong("is neither a number, text, true, false nor a list"))?,
            _ => return Err(wrong("is neither in quotes nor in braces")),
        };
        Ok(Argument { name: name.into(), value, span })
    }

    fn string(&mut self, quote: char) -> Option<Value> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => value.push(chars.next()?.1),
                c if c == quote => {
                    self.at += at + 1;
                    return Some(Value::String(value));
                }
                c => value.push(c),
            }
        }
        None
    }

    fn literal(&mut self) -> Option<Value> {
        let inner = &self.text[self.at + 1..];
        let mut values = Deserializer::from_str(inner).into_iter::<Value>();
        let value = values.next()?.ok().filter(|value| !value.is_null())?;
        self.at += 1 + values.byte_offset();
        self.blank();
        self.take("}").then_some(value)
    }

    fn name(&mut self) -> Name {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let range = self.at..self.at + length;
        self.at = range.end;
        Name { name: self.text[range.clone()].to_owned(), span: Span::new(range) }
    }

    fn end(&mut self) -> Result<(), Mistake> {
        self.blank();
        self.take("-");
        if self.take(self.fence.end()) {
            return Ok(());
        }
        let message = format!("this is not closed with `{}`", self.fence.end());
        Err(mistake(message, Span::new(self.begin..self.begin + 2), None))
    }

    /// Where a call that is written wrongly ends: at its end mark, or with its line.
    fn recover(&self) -> usize {
        let rest = &self.text[self.begin..];
        let line = rest.find('\n').unwrap_or(rest.len());
        self.begin + rest[..line].find(self.fence.end()).map_or(line, |at| at + 2)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, mark: &str) -> bool {
        let is_next = self.rest().starts_with(mark);
        self.at += if is_next { mark.len() } else { 0 };
        is_next
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }
}

fn mistake(message: String, span: Span, help: Option<String>) -> Mistake {
    Mistake { code: "component-syntax", message, help, span }
}

/// `text` from byte `start` on, with markup in the place of each call that Markdown passes over, of the same length.
///
/// A call on a line of its own becomes what ends a paragraph and is a block by itself; any other becomes a tag.
pub(super) fn hidden(text: &str, start: usize, calls: &[Call]) -> String {
    let mut hidden = text[start..].to_owned().into_bytes();
    for call in calls.iter().filter(|call| !matches!(call.form, Form::Escaped)) {
        let place = &mut hidden[call.range.start - start..call.range.end - start];
        place.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'x');
        let length = place.len();
        place[0] = b'<';
        place[length - 1] = b'>';
        if has_own_line(text, &call.range) {
            place[1] = b'?';
            place[length - 2] = b'?';
        }
    }
    String::from_utf8(hidden).expect("whole characters were replaced by ASCII ones")
}

/// Whether nothing but the marks of lists and quotes stands beside a call.
fn has_own_line(text: &str, call: &Range<usize>) -> bool {
    let before = text[..call.start].rsplit('\n').next().unwrap_or_default();
    let after = text[call.end..].split('\n').next().unwrap_or_default();
    let is_mark = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '\t' | '>' | '-' | '*' | '+' | '.' | ')' | ':');
    before.chars().all(is_mark) && after.trim().is_empty()
}
