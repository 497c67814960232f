//! Charts, as SVG with a title and a description for those who do not see them. Their colours are those of the page that
//! they stand in, whether that is light, dark or paper.

use plotters::prelude::*;
use tieup_fees::Money;
use tieup_protocol::contract::Rounding;
use tieup_web::html;

use super::Paper;

/// The colour of tie-up pages and of charges.
pub(super) const FIRST: Paint = Paint { drawn: RGBColor(31, 78, 121), name: "first" };
/// The colour of original pages and of what is taken off.
pub(super) const SECOND: Paint = Paint { drawn: RGBColor(179, 97, 28), name: "second" };
/// Further colours.
pub(super) const THIRD: Paint = Paint { drawn: RGBColor(47, 125, 79), name: "third" };
pub(super) const FOURTH: Paint = Paint { drawn: RGBColor(123, 74, 156), name: "fourth" };
pub(super) const FIFTH: Paint = Paint { drawn: RGBColor(118, 118, 118), name: "fifth" };
/// How wide a chart is, in pixels.
const WIDTH: u32 = 720;
/// How high the legend is above bars of days, and how far from the left its labels begin, in pixels.
const LEGEND: i32 = 28;
const LABELS: [i32; 2] = [78, 190];

/// How many steps of the horizontal axis a day has, its gap included. Its label stands in the middle of them.
const DAY: i32 = 10;

/// How many steps of the vertical axis a bar has, with its label.
const ROW: i32 = 10;

/// A colour as it is drawn, and its name in the page's style sheet, which takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    drawn: RGBColor,
    /// The class of what is shown in it, and the variable that holds it.
    pub(super) name: &'static str,
}

/// A bar with a label above it, made of parts that each begin and end somewhere on the axis.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) parts: Vec<(i64, i64, Paint)>,
}

/// What is said of a chart to those who do not see it.
pub(super) struct Words<'a> {
    /// What no other chart of the page is called.
    pub(super) name: &'a str,
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

/// Why a chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a chart could not be drawn: {0}")]
pub struct ChartError(String);

impl ChartError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A bar of a day: where it begins and ends upwards.
type Bar = (i32, u64, u64);

/// Views by day, of tie-up pages below and of original pages above.
pub(super) fn views_by_day(paper: &Paper<'_>) -> Result<String, ChartError> {
    let (mut tieup, mut original): (Vec<Bar>, Vec<Bar>) = (Vec::new(), Vec::new());
    let first = paper.days().next().map_or(1, |(day, _)| i32::from(day.day()));
    for ((_, counts), at) in paper.days().zip(0..) {
        let (below, above) = (counts.tieup.tally.views, counts.original.tally.views);
        tieup.push((at, 0, below));
        original.push((at, below, below.saturating_add(above)));
    }
    let highest = original.iter().map(|(_, _, end)| *end).max().unwrap_or(0);
    let mut svg = String::new();
    let classes = [("tie-up pages", tieup, FIRST), ("original pages", original, SECOND)];
    draw_days(&mut svg, first, highest, classes).map_err(ChartError::of)?;
    let counted = &paper.made.counted;
    let told = format!(
        "Views by day in {}: {} of tie-up pages and {} of original pages in all. The table below holds every day.",
        counted.period(),
        counted.tieup.tally.views,
        counted.original.tally.views
    );
    Ok(described(&svg, &Words { name: "days", title: "Views by class and day", description: &told }))
}

/// Bars of days, of which the first is that day of its month, under their legend.
fn draw_days(
    svg: &mut String,
    first: i32,
    highest: u64,
    classes: [(&str, Vec<Bar>, Paint); 2],
) -> Result<(), Box<dyn std::error::Error>> {
    let days = i32::try_from(classes[0].1.len())?;
    let area = SVGBackend::with_string(svg, (WIDTH, 260)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .margin_top(LEGEND)
        .x_label_area_size(32)
        .y_label_area_size(70)
        .build_cartesian_2d(-DAY / 2..days * DAY - DAY / 2, 0..highest.max(4))?;
    let day = |at: &i32| if at % DAY == 0 { (at / DAY + first).to_string() } else { String::new() };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(16)
        .x_label_formatter(&day)
        .x_desc("day")
        .y_desc("views")
        .draw()?;
    for ((label, bars, Paint { drawn: colour, .. }), left) in classes.into_iter().zip(LABELS) {
        let side = DAY / 2 - 1;
        let bar =
            |(at, from, to): Bar| Rectangle::new([(at * DAY - side, from), (at * DAY + side, to)], colour.filled());
        chart.draw_series(bars.into_iter().map(bar))?;
        area.draw(&Rectangle::new([(left, 9), (left + 12, 19)], colour.filled()))?;
        area.draw(&Text::new(label, (left + 18, 8), ("sans-serif", 12)))?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// What the fee is made up of: a bar for each line that is not 0.
pub(super) fn make_up(paper: &Paper<'_>) -> Result<String, ChartError> {
    let statement = &paper.made.statement;
    let currency = statement.total.currency();
    let lines = statement.lines.iter().filter_map(|line| {
        let amount = line.rounded.or_else(|| line.exact.round(currency, Rounding::HalfUp))?;
        (amount.minor() != 0).then(|| (format!("{}: {}", line.id, amount.digits()), amount))
    });
    let lines: Vec<(String, Money)> = lines.collect();
    let words: Vec<&str> = lines.iter().map(|(label, _)| label.as_str()).collect();
    let told = format!("In {}: {}. Together {}.", currency.code(), words.join("; "), statement.total);
    let row = |(label, amount): &(String, Money)| {
        let amount = clamped(amount.minor());
        Row { label: label.clone(), parts: vec![(0, amount, if amount < 0 { SECOND } else { FIRST })] }
    };
    let rows: Vec<Row> = lines.iter().map(row).collect();
    rows_of(&rows, &Words { name: "lines", title: "What the fee is made up of", description: &told })
}

/// Bars one below the other, on one axis.
pub(super) fn rows_of(rows: &[Row], words: &Words<'_>) -> Result<String, ChartError> {
    let mut svg = String::new();
    draw_rows(&mut svg, rows).map_err(ChartError::of)?;
    Ok(described(&svg, words))
}

fn draw_rows(svg: &mut String, rows: &[Row]) -> Result<(), Box<dyn std::error::Error>> {
    let ends = || rows.iter().flat_map(|row| row.parts.iter().flat_map(|(from, to, _)| [*from, *to]));
    let (least, most) = (ends().min().unwrap_or(0).min(0), ends().max().unwrap_or(0).max(1));
    let count = i32::try_from(rows.len())?.max(1);
    let area = SVGBackend::with_string(svg, (WIDTH, 20 + 40 * count.unsigned_abs())).into_drawing_area();
    let mut chart = ChartBuilder::on(&area).margin(8).build_cartesian_2d(least..most, 0..count * ROW)?;
    // A label stands close above its bar, and away from the bar before it.
    let top = |at: i32| (count - at) * ROW;
    for (row, at) in rows.iter().zip(0..) {
        let bar = |(from, to, paint): &(i64, i64, Paint)| {
            Rectangle::new([(*from, top(at) - 5), (*to, top(at) - 9)], paint.drawn.filled())
        };
        chart.draw_series(row.parts.iter().map(bar))?;
        let text = Text::new(row.label.clone(), (least, top(at) - 1), ("sans-serif", 14));
        chart.draw_series(std::iter::once(text))?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// An amount as far as a chart can show it: half of what an axis can hold, since their distance must fit too.
pub(super) fn clamped(minor: i128) -> i64 {
    let most = i128::from(i64::MAX / 4);
    i64::try_from(minor.clamp(-most, most)).unwrap_or(0)
}

/// The drawing with a title and a description, in the colours of the page.
fn described(svg: &str, Words { name, title, description }: &Words<'_>) -> String {
    let labels = format!("<svg role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" ");
    let svg = coloured(&svg.replacen("<svg ", &labels, 1));
    let begin = svg.find("<svg ").and_then(|at| svg[at..].find('>').map(|end| at + end + 1)).unwrap_or(0);
    let told = html!("<title id=\"{}-title\">{}</title><desc id=\"{}-desc\">{}</desc>", name, title, name, description);
    // What stands before the element is a declaration that has no place within a page.
    let (head, rest) = svg.split_at(begin);
    let element = head.find("<svg ").map_or(head, |at| &head[at..]);
    format!("{element}{}{rest}", told.as_str())
}

/// The drawing with the names of colours in the place of what was drawn: black is the ink, white the paper.
fn coloured(svg: &str) -> String {
    let mut svg = svg.to_owned();
    for kind in ["fill", "stroke"] {
        svg = svg.replace(&format!("{kind}=\"#000000\""), &format!("{kind}=\"currentColor\""));
        svg = svg.replace(&format!("{kind}=\"#FFFFFF\""), &format!("style=\"{kind}:var(--paper)\""));
        for Paint { drawn: RGBColor(red, green, blue), name } in [FIRST, SECOND, THIRD, FOURTH, FIFTH] {
            let drawn = format!("{kind}=\"#{red:02X}{green:02X}{blue:02X}\"");
            svg = svg.replace(&drawn, &format!("style=\"{kind}:var(--{name})\""));
        }
    }
    svg
}
