//! The charts of a statement, as SVG with a title and a description for those who do not see them.

use plotters::prelude::*;
use tieup_fees::Money;
use tieup_protocol::contract::Rounding;
use tieup_web::html;

use super::Paper;

/// The colour of tie-up pages and of charges.
const FIRST: RGBColor = RGBColor(31, 78, 121);
/// The colour of original pages and of what is taken off.
const SECOND: RGBColor = RGBColor(217, 130, 43);
/// How wide a chart is, in pixels.
const WIDTH: u32 = 720;
/// How many steps of the horizontal axis a day has, its gap included.
const DAY: i32 = 10;

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
    for ((_, counts), at) in paper.days().zip(0..) {
        let (below, above) = (counts.tieup.tally.views, counts.original.tally.views);
        tieup.push((at, 0, below));
        original.push((at, below, below.saturating_add(above)));
    }
    let highest = original.iter().map(|(_, _, end)| *end).max().unwrap_or(0);
    let mut svg = String::new();
    draw_days(&mut svg, highest, [("tie-up pages", tieup, FIRST), ("original pages", original, SECOND)])
        .map_err(ChartError::of)?;
    let counted = &paper.made.counted;
    let told = format!(
        "Views by day in {}: {} of tie-up pages and {} of original pages in all. The table below holds every day.",
        counted.period(),
        counted.tieup.tally.views,
        counted.original.tally.views
    );
    Ok(described(&svg, "days", "Views by class and day", &told))
}

fn draw_days(
    svg: &mut String,
    highest: u64,
    classes: [(&str, Vec<Bar>, RGBColor); 2],
) -> Result<(), Box<dyn std::error::Error>> {
    let days = i32::try_from(classes[0].1.len())?;
    let area = SVGBackend::with_string(svg, (WIDTH, 260)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(70)
        .build_cartesian_2d(0..days * DAY, 0..highest.saturating_add(highest / 4).max(4))?;
    let day = |at: &i32| (at / DAY + 1).to_string();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(16)
        .x_label_formatter(&day)
        .x_desc("day")
        .y_desc("views")
        .draw()?;
    for (label, bars, colour) in classes {
        let bar =
            |(at, from, to): Bar| Rectangle::new([(at * DAY + 1, from), (at * DAY + DAY - 1, to)], colour.filled());
        chart
            .draw_series(bars.into_iter().map(bar))?
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
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
    let mut svg = String::new();
    draw_lines(&mut svg, &lines).map_err(ChartError::of)?;
    let words: Vec<&str> = lines.iter().map(|(label, _)| label.as_str()).collect();
    let told = format!("In {}: {}. Together {}.", currency.code(), words.join("; "), statement.total);
    Ok(described(&svg, "lines", "What the fee is made up of", &told))
}

fn draw_lines(svg: &mut String, lines: &[(String, Money)]) -> Result<(), Box<dyn std::error::Error>> {
    let amounts: Vec<i64> = lines.iter().map(|(_, amount)| clamped(amount.minor())).collect();
    let least = amounts.iter().copied().min().unwrap_or(0).min(0);
    let most = amounts.iter().copied().max().unwrap_or(0).max(1);
    let rows = i32::try_from(lines.len())?.max(1);
    let height = 20 + 40 * rows.unsigned_abs();
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area).margin(8).build_cartesian_2d(least..most, 0..rows * 4)?;
    let top = |row: i32| (rows - row) * 4;
    for (((label, _), amount), row) in lines.iter().zip(amounts).zip(0..) {
        let colour = if amount < 0 { SECOND } else { FIRST };
        let bar = Rectangle::new([(0, top(row) - 2), (amount, top(row) - 4)], colour.filled());
        chart.draw_series(std::iter::once(bar))?;
        let text = Text::new(label.clone(), (least, top(row)), ("sans-serif", 14));
        chart.draw_series(std::iter::once(text))?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// An amount as far as a chart can show it: half of what an axis can hold, since their distance must fit too.
fn clamped(minor: i128) -> i64 {
    let most = i128::from(i64::MAX / 4);
    i64::try_from(minor.clamp(-most, most)).unwrap_or(0)
}

/// The drawing with a title and a description.
fn described(svg: &str, name: &str, title: &str, description: &str) -> String {
    let labels = format!("<svg role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" ");
    let svg = svg.replacen("<svg ", &labels, 1);
    let begin = svg.find("<svg ").and_then(|at| svg[at..].find('>').map(|end| at + end + 1)).unwrap_or(0);
    let told = html!("<title id=\"{}-title\">{}</title><desc id=\"{}-desc\">{}</desc>", name, title, name, description);
    // What stands before the element is a declaration that has no place within a page.
    let (head, rest) = svg.split_at(begin);
    let element = head.find("<svg ").map_or(head, |at| &head[at..]);
    format!("{element}{}{rest}", told.as_str())
}
