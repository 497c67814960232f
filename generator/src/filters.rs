//! The filters that templates get beyond Tera's own: `yen`, `date` and `slot`.

use jiff::civil::Date;
use jiff::fmt::strtime;
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};
use tieup_protocol::diagnostic::nearest;

use crate::slots;

/// Adds the filters; `names` are the theme's slots.
pub(crate) fn register(tera: &mut Tera, names: &[String]) {
    let names = names.to_vec();
    tera.register_filter("yen", |amount: Value, _: Kwargs, _: &State<'_>| yen(&amount));
    tera.register_filter("date", |day: Value, options: Kwargs, _: &State<'_>| date(&day, &options));
    tera.register_filter("slot", move |body: Value, options: Kwargs, _: &State<'_>| slot(&body, &options, &names));
}

/// An amount of whole yen: `1234` is `¥1,234`.
fn yen(amount: &Value) -> TeraResult<String> {
    let whole = amount.as_i128().ok_or_else(|| {
        Error::message(format!("`yen` needs a whole number, and `{amount}` is of type {}", amount.name()))
    })?;
    let digits = whole.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    Ok(format!("{}¥{grouped}", if whole < 0 { "-" } else { "" }))
}

/// A day, `YYYY-MM-DD`, in the form that `format` describes (strftime).
fn date(day: &Value, options: &Kwargs) -> TeraResult<String> {
    let format = options.get::<&str>("format")?.unwrap_or("%Y-%m-%d");
    let text = day.as_str().ok_or_else(|| Error::message(format!("`date` needs a day, and got {}", day.name())))?;
    let date: Date = text.parse().map_err(|_| Error::message(format!("`{text}` is not a day like 2026-11-01")))?;
    strtime::format(format, date).map_err(|error| Error::message(format!("`{format}` is not a date format: {error}")))
}

/// Marks what stands in a slot until the page is done.
fn slot(body: &Value, options: &Kwargs, names: &[String]) -> TeraResult<Value> {
    let name = options.must_get::<&str>("name")?;
    let number = names.iter().position(|known| known == name).ok_or_else(|| {
        Error::message(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("the theme has no slot `{name}`; did you mean `{near}`?"),
            None => format!("the theme has no slot `{name}`; theme.yaml lists: {}", names.join(", ")),
        })
    })?;
    let marked = slots::mark(number, body.as_str().unwrap_or_default());
    let marked = marked.ok_or_else(|| Error::message(format!("slot `{name}` has another slot inside")))?;
    Ok(Value::safe_string(&marked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let mut tera = Tera::new();
        register(&mut tera, &["banner".to_owned(), "nav".to_owned()]);
        tera.render_str(template, &tera::Context::new(), true).map_err(|error| error.to_string())
    }

    #[test]
    fn yen_are_grouped() {
        for (number, shown) in [("0", "¥0"), ("999", "¥999"), ("1234", "¥1,234"), ("-1234567", "-¥1,234,567")] {
            assert_eq!(render(&format!("{{{{ {number} | yen }}}}")).as_deref(), Ok(shown));
        }
        assert!(render("{{ 1.5 | yen }}").unwrap_err().contains("`yen` needs a whole number"));
        assert!(render("{{ \"12\" | yen }}").unwrap_err().contains("type string"));
    }

    #[test]
    fn days_take_the_form_asked_for() {
        assert_eq!(render("{{ \"2026-11-01\" | date(format=\"%-d %B %Y\") }}").as_deref(), Ok("1 November 2026"));
        assert_eq!(render("{{ \"2026-11-01\" | date(format=\"%Y年%-m月%-d日\") }}").as_deref(), Ok("2026年11月1日"));
        assert!(render("{{ \"soon\" | date }}").unwrap_err().contains("`soon` is not a day"));
        assert!(render("{{ \"2026-11-01\" | date(format=\"%Q%\") }}").unwrap_err().contains("not a date format"));
    }

    #[test]
    fn slots_are_marked_and_unknown_ones_refused() {
        let page = render("<b>{% filter slot(name=\"nav\") %}<i>&</i>{% endfilter %}</b>").unwrap();
        assert_eq!(page, "<b>\u{1}1\u{2}<i>&</i>\u{3}</b>");
        let error = render("{% filter slot(name=\"nave\") %}{% endfilter %}").unwrap_err();
        assert!(error.contains("did you mean `nav`?"), "{error}");
        let nested = "{% filter slot(name=\"nav\") %}{% filter slot(name=\"banner\") %}{% endfilter %}{% endfilter %}";
        assert!(render(nested).unwrap_err().contains("another slot inside"));
    }
}
