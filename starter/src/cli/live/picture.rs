//! A job's cell as a tree on the terminal and as a drawing.

use std::fmt::Write as _;

use super::cell::Section;

/// A tree of lines.
pub(in crate::cli) fn tree(title: &str, sections: &[Section]) -> String {
    let mut text = format!("{title}\n");
    for (index, section) in sections.iter().enumerate() {
        let last = index + 1 == sections.len();
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "{} {}", if last { "└─" } else { "├─" }, section.title);
        for (number, (depth, line)) in section.lines.iter().enumerate() {
            let end = number + 1 == section.lines.len();
            let stem = if last { "  " } else { "│ " };
            let branch = if end { "└─" } else { "├─" };
            let _ = writeln!(text, "{stem} {branch} {}{line}", "  ".repeat(*depth));
        }
    }
    text
}

/// The width of a character, in pixels.
const CHARACTER: usize = 8;
/// The height of a line.
const LINE: usize = 18;

/// The same as boxes.
pub(in crate::cli) fn svg(title: &str, sections: &[Section]) -> String {
    let longest = sections
        .iter()
        .flat_map(|section| &section.lines)
        .map(|(depth, line)| 2 * depth + line.chars().count())
        .max();
    let width = longest.unwrap_or(0).max(title.chars().count()).max(40) * CHARACTER + 60;
    let lines: usize = sections.iter().map(|section| section.lines.len()).sum();
    let height = (lines + 2 * sections.len() + 3) * LINE + 20;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"monospace\" font-size=\"13\">\n\
         <title>{0}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"26\" font-weight=\"bold\" fill=\"#1b2a3a\">{0}</text>\n",
        escape(title)
    );
    let mut y = 40;
    for section in sections {
        let box_height = (section.lines.len() + 1) * LINE + 8;
        // Writing to a string doesn't fail.
        let _ = write!(
            text,
            "<rect x=\"14\" y=\"{y}\" width=\"{}\" height=\"{box_height}\" rx=\"6\" fill=\"#f3f6f9\" stroke=\"#7a8fa6\"/>\n\
             <text x=\"24\" y=\"{}\" font-weight=\"bold\" fill=\"#2f5d8a\">{}</text>\n",
            width - 28,
            y + LINE,
            escape(section.title)
        );
        for (number, (depth, line)) in section.lines.iter().enumerate() {
            let (x, line_y) = (36 + 2 * depth * CHARACTER, y + (number + 2) * LINE);
            let _ = writeln!(
                text,
                "<text x=\"{x}\" y=\"{line_y}\" xml:space=\"preserve\" fill=\"#1b2a3a\">{}</text>",
                escape(line)
            );
        }
        y += box_height + LINE / 2;
    }
    text.push_str("</svg>\n");
    text
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_job_becomes_a_part_of_the_drawing() {
        let lines = vec![(0, "7 <script>&\"'".to_owned()), (1, "8 sh".to_owned())];
        let sections = [Section { title: "processes", lines }];
        let drawn = svg("job <1>", &sections);
        assert!(
            drawn.contains("7 &lt;script&gt;&amp;&quot;&#39;") && drawn.contains("job &lt;1&gt;")
        );
        assert!(!drawn.contains("<script>"));
        assert_eq!(drawn.matches("<text").count(), drawn.matches("</text>").count());
        assert_eq!(tree("t", &sections), "t\n└─ processes\n   ├─ 7 <script>&\"'\n   └─   8 sh\n");
    }
}
