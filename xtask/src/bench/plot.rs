//! Charts of the results, as SVG files for the README.

use super::machine::Machine;
use super::measure::{Rival, Side};
use super::outcome::Outcome;
use crate::report::{Context, Result};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// A chart: its file, its title, and which metrics it shows, by their keys.
struct Chart {
    file: &'static str,
    title: &'static str,
    keys: &'static [&'static str],
}

/// Every chart but that of growth, which is none of bars.
const BARS: [Chart; 3] = [
    Chart {
        file: "memory.svg",
        title: "memory beside a container, kB (less is better)",
        keys: &["idle-100", "logging-100", "attached-100", "terminal-100", "exec-memory-100"],
    },
    Chart {
        file: "times.svg",
        title: "time, ms (less is better)",
        keys: &["start", "cycle", "exit-file", "exit-command", "exec"],
    },
    Chart {
        file: "throughput.svg",
        title: "throughput, MB/s (more is better)",
        keys: &[
            "k8s-file-lines-speed",
            "k8s-file-long-speed",
            "k8s-file-binary-speed",
            "attach-speed",
        ],
    },
];

const GROWTH: &str = "memory-growth.svg";

/// The names of all files that `draw` can make.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    BARS.iter().map(|chart| chart.file).chain([GROWTH])
}

/// Draws all charts for which there are results.
pub(super) fn draw(outcomes: &[Outcome], machine: &Machine, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).context(format!("cannot make {}", folder.display()))?;
    let rival = machine.rival(Rival::Conmon);
    for chart in &BARS {
        let find = |key: &&str| outcomes.iter().find(|outcome| outcome.metric.key == *key);
        let found: Vec<&Outcome> = chart.keys.iter().filter_map(find).collect();
        if !found.is_empty() {
            let svg = bars(chart.title, &found, &rival);
            save(&folder.join(chart.file), svg)?;
        }
    }
    let points = growth_points(outcomes);
    if points.iter().any(|(_, points)| points.len() > 1) {
        save(&folder.join(GROWTH), growth(&points, &rival))?;
    }
    Ok(())
}

fn save(path: &Path, svg: Drawn<String>) -> Result<()> {
    let path_shown = path.display();
    let svg = svg.map_err(|error| format!("cannot draw {path_shown}: {error}"))?;
    std::fs::write(path, svg).context(format!("cannot write {path_shown}"))
}

type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const WIDTH: i32 = 760;
/// Where the bars begin; their names stand before that.
const LEFT: i32 = 300;
/// Room for the number behind the longest bar.
const RIGHT: i32 = 60;
const TOP: i32 = 64;
const BAR: i32 = 14;
const GAP: i32 = 14;

fn color(side: Side) -> RGBColor {
    match side {
        Side::Ours => RGBColor(0x1f, 0x77, 0xb4),
        Side::Theirs => RGBColor(0xb0, 0xb0, 0xb0),
        Side::Floor => RGBColor(0x2c, 0xa0, 0x2c),
    }
}

fn title(side: Side, rival: &str) -> &str {
    match side {
        Side::Ours => "conmote",
        Side::Theirs => rival,
        Side::Floor => "the floor",
    }
}

/// One group of bars for each outcome, one bar for each side.
fn bars(heading: &str, outcomes: &[&Outcome], rival: &str) -> Drawn<String> {
    let sides = |outcome: &Outcome| {
        Side::ALL.into_iter().filter_map(|side| Some((side, outcome.side(side)?.median))).collect()
    };
    let groups: Vec<(&str, Vec<(Side, f64)>)> =
        outcomes.iter().map(|outcome| (outcome.metric.name.as_str(), sides(outcome))).collect();
    let all = || groups.iter().flat_map(|(_, bars)| bars);
    let count = all().count() as i32;
    let largest = all().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + count * BAR + groups.len() as i32 * GAP + 8;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32));
        let area = area.into_drawing_area();
        area.fill(&WHITE)?;
        let style = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
        area.draw(&Text::new(heading.to_string(), (10, 8), style(18)))?;
        let mut at = LEFT;
        let present = |side: &Side| all().any(|(found, _)| found == side);
        for side in Side::ALL.into_iter().filter(present) {
            area.draw(&Rectangle::new([(at, 38), (at + 12, 50)], color(side).filled()))?;
            area.draw(&Text::new(title(side, rival).to_string(), (at + 18, 38), style(13)))?;
            at += 140;
        }
        let mut y = TOP;
        for (name, bars) in &groups {
            let middle = y + bars.len() as i32 * BAR / 2;
            let right = Pos::new(HPos::Right, VPos::Center);
            area.draw(&Text::new(name.to_string(), (LEFT - 10, middle), style(13).pos(right)))?;
            for (side, value) in bars {
                let length = (value / largest * f64::from(WIDTH - LEFT - RIGHT)) as i32;
                let corners = [(LEFT, y + 1), (LEFT + length.max(1), y + BAR - 1)];
                area.draw(&Rectangle::new(corners, color(*side).filled()))?;
                let left = style(12).pos(Pos::new(HPos::Left, VPos::Center));
                let number = super::table::digits(*value);
                area.draw(&Text::new(number, (LEFT + length + 6, y + BAR / 2), left))?;
                y += BAR;
            }
            y += GAP;
        }
        area.present()?;
    }
    Ok(svg)
}

/// For each side: the number of idle containers, and the memory beside all of them in MB.
fn growth_points(outcomes: &[Outcome]) -> Vec<(Side, Vec<(f64, f64)>)> {
    let number = |outcome: &Outcome| outcome.metric.key.strip_prefix("idle-")?.parse().ok();
    let point = |side: Side, outcome: &Outcome| {
        let number: f64 = number(outcome)?;
        Some((number, outcome.side(side)?.median * number / 1024.0))
    };
    let points = |side| outcomes.iter().filter_map(|outcome| point(side, outcome)).collect();
    Side::ALL.into_iter().map(|side| (side, points(side))).collect()
}

fn growth(lines: &[(Side, Vec<(f64, f64)>)], rival: &str) -> Drawn<String> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (widest, highest) =
        all().fold((0.0, 0.0), |(x, y): (f64, f64), point| (x.max(point.0), y.max(point.1)));
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, 320)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("memory beside N idle containers, MB", ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..widest, 0.0..highest * 1.05)?;
        chart.configure_mesh().disable_x_mesh().x_desc("N").draw()?;
        for (side, points) in lines.iter().filter(|(_, points)| !points.is_empty()) {
            let color = color(*side);
            let from_zero = [(0.0, 0.0)].into_iter().chain(points.iter().copied());
            chart
                .draw_series(LineSeries::new(from_zero, color.stroke_width(2)).point_size(3))?
                .label(title(*side, rival).to_string())
                .legend(move |(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled())
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::super::measure::Metric;
    use super::*;

    fn outcome(key: &str, values: [f64; 3]) -> Outcome {
        let values = values.map(|value| vec![value]);
        Outcome::of(Metric::new(key, "a < name", "kB"), Rival::Conmon, values)
    }

    #[test]
    fn bars_are_named_and_have_numbers() {
        let outcome = outcome("idle-100", [87.0, 471.0, 69.0]);
        let svg = bars("memory", &[&outcome], "conmon 2.1.6").unwrap();
        for part in ["<svg ", "memory", "a &lt; name", "87.0", "471", "conmon 2.1.6", "the floor"] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
    }

    #[test]
    fn growth_is_drawn_from_the_numbers_of_containers() {
        let outcomes = [
            outcome("idle-10", [100.0, 500.0, 70.0]),
            outcome("idle-100", [90.0, 480.0, 70.0]),
            outcome("idle-slope", [90.0, 480.0, 70.0]),
        ];
        let points = growth_points(&outcomes);
        assert_eq!(points[0].1, [(10.0, 1000.0 / 1024.0), (100.0, 9000.0 / 1024.0)]);
        assert!(growth(&points, "conmon").unwrap().contains("polyline"));
    }
}
