//! Curves and strips over time as plain SVG, without script or font files. Pure.
//!
//! A picture has columns; a column is a [`Chart`], which has one time axis, and panels below each other.

use std::fmt::Write as _;

/// Width of a column's panels, pixels.
pub const PANEL_WIDTH: f64 = 620.0;
/// Height of a panel with curves.
pub const PANEL_HEIGHT: f64 = 150.0;
/// Height of a strip of states.
pub const STRIP_HEIGHT: f64 = 16.0;
/// Left of a panel: its axis.
pub const AXIS_WIDTH: f64 = 70.0;
/// Between panels, for titles and numbers.
pub const GAP: f64 = 38.0;
/// Above the first panel.
pub const TOP: f64 = 64.0;
/// Height of a line of text in a list.
pub const LINE_HEIGHT: f64 = 15.0;
/// Between two strips.
const STRIP_GAP: f64 = 3.0;

/// Clusters' colours, in order.
pub const CLUSTER_COLOURS: [&str; 3] = ["#c0392b", "#2471a3", "#1e8449"];

/// Makes text harmless in SVG.
fn escaped(text: &str) -> String {
    let replaced = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    replaced.replace('"', "&quot;").chars().filter(|c| !c.is_control()).collect()
}

/// The vertical axis of a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// By powers of ten between these two.
    Log(f64, f64),
}

impl Scale {
    /// From 0 (bottom) to 1 (top).
    fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear(top) => value / top,
            Self::Log(low, high) => (value.max(low) / low).log10() / (high / low).log10(),
        };
        place.clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(top) => (0..=4).map(|at| top * f64::from(at) / 4.0).collect(),
            Self::Log(low, high) => {
                let count = (high / low).log10().round() as i32;
                (0..=count).map(|at| low * 10_f64.powi(at)).collect()
            }
        }
    }
}

/// The next number of the form 1, 2, 5 times a power of ten.
pub fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(power * 10.0)
}

/// Seconds between two ticks of the time axis.
fn time_step(seconds: f64) -> f64 {
    [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0]
        .into_iter()
        .find(|step| seconds / step <= 12.0)
        .unwrap_or(600.0)
}

fn stroke(colour: &str) -> String {
    format!("stroke=\"{colour}\" stroke-width=\"1.4\"")
}

/// A curve: points with their times in seconds; a gap where there is nothing to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its colour.
    pub colour: &'static str,
    /// What it is.
    pub name: String,
    /// In order of time.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A state that lasted from one second to another.
pub type Run<'a> = (&'a str, f64, f64);

/// One column.
#[derive(Debug)]
pub struct Chart<'a> {
    /// Where its panels begin, pixels.
    pub left: f64,
    /// Length of its time axis.
    pub seconds: f64,
    /// What is shaded, seconds.
    pub shade: (f64, f64),
    /// Dashed lines, numbered from 1, seconds.
    pub marks_s: Vec<f64>,
    /// Where it is drawn.
    pub out: &'a mut String,
}

impl Chart<'_> {
    fn x(&self, at_s: f64) -> f64 {
        self.left + at_s.clamp(0.0, self.seconds) / self.seconds * PANEL_WIDTH
    }

    /// A line of text.
    pub fn text(&mut self, x: f64, y: f64, more: &str, text: &str) {
        let _ = writeln!(self.out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {more}>{}</text>", escaped(text));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), more: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ =
            writeln!(self.out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {more}/>");
    }

    /// A rectangle.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), more: &str) {
        let _ = writeln!(
            self.out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {more}/>"
        );
    }

    /// The shaded span, marks, and the time axis below.
    fn frame(&mut self, top: f64, height: f64) {
        let (from, to) = (self.x(self.shade.0), self.x(self.shade.1));
        self.rect((from, top), (to - from, height), "fill=\"#fdf2e9\"");
        self.rect((self.left, top), (PANEL_WIDTH, height), "fill=\"none\" stroke=\"#999\"");
        let (step, end) = (time_step(self.seconds), self.seconds);
        for tick in (0..).map(|at| f64::from(at) * step).take_while(|tick| *tick <= end) {
            let x = self.x(tick);
            self.line((x, top + height), (x, top + height + 3.0), "stroke=\"#666\"");
            self.text(
                x,
                top + height + 14.0,
                "text-anchor=\"middle\" class=\"small\"",
                &format!("{tick:.0}"),
            );
        }
        for (number, x) in self.dash(top, height).into_iter().enumerate() {
            self.text(x + 2.0, top + 10.0, "class=\"small\"", &(number + 1).to_string());
        }
    }

    /// Draws the marks; gives where they are.
    fn dash(&mut self, top: f64, height: f64) -> Vec<f64> {
        let marks: Vec<f64> = self.marks_s.iter().map(|at| self.x(*at)).collect();
        for x in &marks {
            self.line((*x, top), (*x, top + height), "stroke=\"#555\" stroke-dasharray=\"3 3\"");
        }
        marks
    }

    /// A panel with curves.
    pub fn panel(&mut self, top: f64, title: &str, scale: Scale, curves: &[Curve]) {
        self.frame(top, PANEL_HEIGHT);
        self.text(self.left, top - 6.0, "class=\"title\"", title);
        for tick in scale.ticks() {
            let y = top + PANEL_HEIGHT * (1.0 - scale.place(tick));
            self.line((self.left - 3.0, y), (self.left + PANEL_WIDTH, y), "stroke=\"#ddd\"");
            let words = if tick >= 1.0 || tick == 0.0 { format!("{tick:.0}") } else { format!("{tick}") };
            self.text(self.left - 6.0, y + 4.0, "text-anchor=\"end\" class=\"small\"", &words);
        }
        let mut legend = self.left + PANEL_WIDTH;
        for curve in curves.iter().rev() {
            legend -= 16.0 + 6.5 * curve.name.len() as f64;
            self.line((legend - 12.0, top - 10.0), (legend - 2.0, top - 10.0), &stroke(curve.colour));
            self.text(legend, top - 6.0, "class=\"small\"", &curve.name);
            self.curve(top, scale, curve);
        }
    }

    fn curve(&mut self, top: f64, scale: Scale, curve: &Curve) {
        let mut path = String::new();
        let mut is_down = false;
        for (at_s, value) in &curve.points {
            let Some(value) = value else {
                is_down = false;
                continue;
            };
            let (x, y) = (self.x(*at_s), top + PANEL_HEIGHT * (1.0 - scale.place(*value)));
            let _ = write!(path, "{}{x:.1} {y:.1} ", if is_down { 'L' } else { 'M' });
            is_down = true;
        }
        let _ = writeln!(self.out, "<path d=\"{path}\" fill=\"none\" {}/>", stroke(curve.colour));
    }

    /// Strips of states, named, below each other.
    pub fn strips(
        &mut self,
        top: f64,
        title: &str,
        strips: &[(String, Vec<Run<'_>>)],
        colour_of: impl Fn(&str) -> &'static str,
    ) {
        self.text(self.left, top - 6.0, "class=\"title\"", title);
        for (row, (name, runs)) in strips.iter().enumerate() {
            let y = top + strips_height(row);
            self.text(self.left - 6.0, y + 12.0, "text-anchor=\"end\" class=\"small\"", name);
            for (word, from_s, to_s) in runs {
                let (from, to) = (self.x(*from_s), self.x(*to_s));
                let colour = colour_of(word);
                self.rect((from, y), (to - from, STRIP_HEIGHT), &format!("fill=\"{colour}\""));
                if to - from > 6.5 * word.len() as f64 {
                    self.text(from + 3.0, y + 12.0, "class=\"small\"", word);
                }
            }
        }
        self.dash(top, strips_height(strips.len()));
    }

    /// What strips' colours mean.
    pub fn legend(&mut self, top: f64, entries: &[(&str, &str)]) {
        let mut x = self.left;
        for (words, colour) in entries {
            self.rect((x, top), (10.0, 10.0), &format!("fill=\"{colour}\" stroke=\"#999\""));
            self.text(x + 13.0, top + 9.0, "class=\"small\"", words);
            x += 24.0 + 5.6 * words.len() as f64;
        }
    }

    /// Lines of text below each other.
    pub fn list(&mut self, top: f64, lines: &[String]) {
        for (row, line) in lines.iter().enumerate() {
            self.text(self.left, top + row as f64 * LINE_HEIGHT, "class=\"small\"", line);
        }
    }
}

/// Height of so many strips, pixels.
pub fn strips_height(count: usize) -> f64 {
    count as f64 * (STRIP_HEIGHT + STRIP_GAP)
}

/// Joins states that are the same one after the other: a word and when it was said first, in order.
pub fn joined<'a>(said: impl Iterator<Item = (&'a str, f64)>, end_s: f64) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for (word, at_s) in said {
        match runs.last_mut() {
            Some((last, ..)) if *last == word => continue,
            Some((.., to)) => *to = at_s,
            None => {}
        }
        runs.push((word, at_s, end_s));
    }
    runs
}

/// A whole picture of this size, around what `draw` puts into it.
pub fn picture(width: f64, height: f64, draw: impl FnOnce(&mut String)) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.small{{font-size:10.5px}}.title{{font-size:12px;font-weight:bold}}\
         .head{{font-size:15px;font-weight:bold}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    draw(&mut out);
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ends() {
        assert_eq!([0.0, 1.0, 3.0, 480.0, 501.0].map(round_up), [1.0, 1.0, 5.0, 500.0, 1_000.0]);
        assert_eq!(Scale::Log(0.1, 100.0).ticks().len(), 4);
        assert_eq!(Scale::Log(0.1, 100.0).place(0.0001), 0.0);
        assert_eq!(Scale::Linear(10.0).place(5.0), 0.5);
        assert_eq!(time_step(100.0), 10.0);
    }

    #[test]
    fn what_stays_the_same_is_joined() {
        let said = [("a", 1.0), ("a", 2.0), ("b", 3.0), ("a", 4.0)];
        assert_eq!(joined(said.into_iter(), 9.0), [("a", 1.0, 3.0), ("b", 3.0, 4.0), ("a", 4.0, 9.0)]);
        assert!(joined(std::iter::empty(), 9.0).is_empty());
    }

    #[test]
    fn text_is_harmless() {
        assert_eq!(escaped("a<b> & \"c\"\n"), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}
