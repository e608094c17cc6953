//! A QR code as a path of SVG, drawn by the server: no script, no style, nothing that a Content-Security-Policy would have to allow.

use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// The margin that readers need, in modules (ISO/IEC 18004).
const QUIET: usize = 4;

/// The modules of a side, margins included, and the path of what is dark. `None`: the text is too long for any QR code.
pub(super) fn draw(text: &str) -> Option<(usize, Zeroizing<String>)> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    // Larger than any code is drawn, so that no copy of a part of it is left behind when it grows.
    let mut path = Zeroizing::new(String::with_capacity(32 * 1024));
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        while let Some(color) = row.get(x) {
            let run = row[x..].iter().take_while(|other| *other == color).count();
            if *color == Color::Dark {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run;
        }
    }
    Some((width + 2 * QUIET, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_are_those_of_the_code() {
        let text = "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();
        let (size, drawn) = draw(text).unwrap();
        assert_eq!(size, code.width() + 8);
        assert!(drawn.bytes().all(|byte| byte.is_ascii_digit() || b"Mhvz- ".contains(&byte)), "{}", *drawn);
        let runs = drawn.split('h').skip(1).filter_map(|rest| rest.split('v').next()?.parse::<usize>().ok());
        assert_eq!(runs.sum::<usize>(), dark);
        assert!(draw(&"x".repeat(5000)).is_none());
    }
}
