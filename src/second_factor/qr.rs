//! A QR code as SVG, drawn by the server: no script, no style, nothing that a Content-Security-Policy would have to allow.

use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// The margin that readers need, in modules (ISO/IEC 18004).
const QUIET: usize = 4;

/// Draws a text; `label` is what is read out instead. `None`: the text is too long for any QR code.
pub(super) fn svg(text: &str, label: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let size = width + 2 * QUIET;
    // Larger than any code is drawn, so that no copy of a part of it is left behind when it grows.
    let mut svg = Zeroizing::new(String::with_capacity(32 * 1024));
    let label = escaped(label);
    // White behind black whatever the colors of the page are: readers expect it.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" role=\"img\" aria-label=\"{label}\" \
         shape-rendering=\"crispEdges\"><title>{label}</title><path fill=\"#fff\" d=\"M0 0h{size}v{size}h-{size}z\"/>\
         <path fill=\"#000\" d=\""
    );
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        while let Some(color) = row.get(x) {
            let run = row[x..].iter().take_while(|other| *other == color).count();
            if *color == Color::Dark {
                let _ = write!(svg, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run;
        }
    }
    svg.push_str("\"/></svg>");
    Some(svg)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_picture_with_a_text_to_read_out_and_nothing_that_a_policy_would_forbid() {
        let svg = svg("otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQ", "A \"code\" <for> you & me").unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        assert!(svg.contains("<title>A &quot;code&quot; &lt;for&gt; you &amp; me</title>"));
        assert!(svg.contains("role=\"img\""));
        for forbidden in ["<script", "style", "href", "onload", "GEZDGNBV"] {
            assert!(!svg.contains(forbidden), "{forbidden}");
        }
        assert_eq!(svg.matches("<path ").count(), 2);
    }

    #[test]
    fn the_modules_are_those_of_the_code() {
        let text = "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let (width, drawn) = (code.width(), svg(text, "x").unwrap());
        let mut dark = vec![false; width * width];
        for run in drawn.rsplit("d=\"M").next().unwrap().trim_end_matches("\"/></svg>").split('M') {
            let numbers: Vec<usize> =
                run.split([' ', 'h', 'v', 'z', '-']).filter_map(|text| text.parse().ok()).collect();
            let [x, y, length, 1, same] = numbers[..] else { panic!("{run}") };
            assert_eq!(length, same);
            let first = (y - QUIET) * width + x - QUIET;
            dark[first..first + length].fill(true);
        }
        let expected: Vec<bool> = code.to_colors().iter().map(|color| *color == Color::Dark).collect();
        assert!(dark == expected && dark.contains(&true));
        assert!(svg(&"x".repeat(5000), "x").is_none());
    }
}
