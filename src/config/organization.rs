//! The organization's own face: name, logo, color and links that every page has, checked before anything is served.
//!
//! `picture` looks into the file of the logo.

mod picture;

use crate::protocol::client::web_address;
use crate::protocol::secret::Digest;
pub use picture::{Logo, PictureFault};
use std::fmt;

/// What the pages show of the organization; nothing of it has to be set.
#[derive(Clone, Debug, Default)]
pub struct Organization {
    /// Its name.
    pub name: Option<String>,
    /// Its logo, which needs the name: that is what is read out.
    pub logo: Option<Logo>,
    /// Its color.
    pub accent: Option<Accent>,
    /// Where users find help.
    pub help_url: Option<String>,
    /// What it does with data.
    pub privacy_url: Option<String>,
    /// Who it is.
    pub imprint_url: Option<String>,
    /// Changes with what is served of it, so that it can be kept for long.
    pub version: String,
}

impl Organization {
    /// With its version, computed once: pages name it in every link.
    pub(super) fn with_version(mut self) -> Self {
        let logo = self.logo.as_ref().map(|logo| logo.content.as_ref()).unwrap_or_default();
        let style = self.accent.map(Accent::stylesheet).unwrap_or_default();
        Digest::of_bytes(&[b"organization", logo, style.as_bytes()]).as_str()[..10].clone_into(&mut self.version);
        self
    }

    /// Whether there is anything to link to.
    #[must_use]
    pub const fn has_links(&self) -> bool {
        self.help_url.is_some() || self.privacy_url.is_some() || self.imprint_url.is_some()
    }
}

/// Why a setting of the organization cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum OrganizationFault {
    /// The name.
    #[error("must be a name of at most {MOST_NAME} characters in one line")]
    Name,
    /// A link.
    #[error("must be an address of https, such as https://example.com/help, or mailto: and an address")]
    Link,
    /// A color.
    #[error("must be a color such as #0d5e4d, or two with a comma between them: for light and for dark screens")]
    Color,
    /// A color that cannot be read on the background.
    #[error(
        "{color} has a contrast of {contrast}:1 to the {scheme} background {background}, and WCAG 2.2 AA wants 4.5:1; {better} has \
         it, and so has either shade that is made of one color alone"
    )]
    Contrast {
        /// The color.
        color: Color,
        /// `light` or `dark`.
        scheme: &'static str,
        /// What it is on.
        background: Color,
        /// What it has.
        contrast: Tenths,
        /// The nearest shade of it that can be read.
        better: Color,
    },
}

/// A contrast to the tenth below it: 4.46 is not enough, and must not look as if it were.
#[derive(Clone, Copy, Debug)]
pub struct Tenths(f64);

impl fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1}", (self.0 * 10.0).floor() / 10.0)
    }
}

/// The longest name, in characters.
const MOST_NAME: usize = 60;

/// Reads the name; empty: none.
pub(super) fn name(text: &str) -> Result<Option<String>, OrganizationFault> {
    let text = text.trim();
    if text.chars().count() > MOST_NAME || text.chars().any(char::is_control) {
        return Err(OrganizationFault::Name);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Reads a link; empty: none.
pub(super) fn link(text: &str) -> Result<Option<String>, OrganizationFault> {
    let text = text.trim();
    let is_mail = text.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
    let is_web = text.starts_with("https://") && web_address(text).is_some();
    let is_plain = text.len() <= 2000 && text.bytes().all(|byte| byte.is_ascii_graphic());
    match text {
        "" => Ok(None),
        _ if is_plain && (is_mail || is_web) => Ok(Some(text.to_owned())),
        _ => Err(OrganizationFault::Link),
    }
}

/// A color of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color([u8; 3]);

impl fmt::Display for Color {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(formatter, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// What text in the color is on, where it is read the least: `--canvas` of the light scheme and `--surface` of the dark one in
/// `templates/hallpass.css`.
const LIGHT: Color = Color([0xf2, 0xf0, 0xea]);
const DARK: Color = Color([0x1a, 0x20, 0x1e]);
const BLACK: Color = Color([0; 3]);
const WHITE: Color = Color([0xff; 3]);
/// The least contrast of text, [WCAG 2.2 1.4.3](https://www.w3.org/TR/WCAG22/#contrast-minimum).
const LEAST: f64 = 4.5;

impl Color {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        // A sign is no digit, although the parser would take it.
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_plain.then_some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// [WCAG 2.2, relative luminance](https://www.w3.org/TR/WCAG22/#dfn-relative-luminance).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126f64.mul_add(red, 0.7152f64.mul_add(green, 0.0722 * blue))
    }

    /// [WCAG 2.2, contrast ratio](https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio): 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance() + 0.05, other.luminance() + 0.05);
        if one > two { one / two } else { two / one }
    }

    /// So many percent of the way to another color.
    fn towards(self, other: Self, percent: u16) -> Self {
        let mut mixed = self.0;
        for (part, other) in mixed.iter_mut().zip(other.0) {
            let sum = u16::from(*part) * (100 - percent) + u16::from(other) * percent;
            *part = u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// The nearest shade that can be read on a background. Mixed with black or white, a color keeps its hue.
    fn readable_on(self, background: Self, towards: Self) -> Self {
        let shades = (0..=100).map(|percent| self.towards(towards, percent));
        shades.into_iter().find(|shade| shade.contrast(background) >= LEAST).unwrap_or(towards)
    }
}

/// The color of links and of the button that is pressed first, in each scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    light: Color,
    dark: Color,
}

impl Accent {
    /// Reads one color, of which each scheme gets the nearest shade that can be read in it, or two that can be; empty: none.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, OrganizationFault> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let colors: Option<Vec<Color>> = text.split(',').map(|color| Color::parse(color.trim())).collect();
        let (light, dark) = match colors.as_deref() {
            Some(&[color]) => (color.readable_on(LIGHT, BLACK), color.readable_on(DARK, WHITE)),
            Some(&[light, dark]) => (light, dark),
            _ => return Err(OrganizationFault::Color),
        };
        for (color, scheme, background, towards) in [(light, "light", LIGHT, BLACK), (dark, "dark", DARK, WHITE)] {
            let contrast = color.contrast(background);
            if contrast < LEAST {
                let better = color.readable_on(background, towards);
                let contrast = Tenths(contrast);
                return Err(OrganizationFault::Contrast { color, scheme, background, contrast, better });
            }
        }
        Ok(Some(Self { light, dark }))
    }

    /// The color on a light background, as mails have it.
    #[must_use]
    pub const fn on_light(self) -> Color {
        self.light
    }

    /// The variables of `templates/hallpass.css`. What is written on the color is what it was measured on, and the shade under
    /// the pointer differs more from that.
    #[must_use]
    pub fn stylesheet(self) -> String {
        let block = |color: Color, strong: Color, on: Color| {
            format!(":root {{ --accent: {color}; --accent-strong: {strong}; --on-accent: {on}; }}")
        };
        let light = block(self.light, self.light.towards(BLACK, 30), WHITE);
        let dark = block(self.dark, self.dark.towards(WHITE, 30), DARK);
        format!("{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each part of one color lies between the same others in the other: to within what rounding moves.
    fn same_hue(one: Color, other: Color) -> bool {
        let place = |Color(parts): Color| {
            let [red, green, blue] = parts.map(i32::from);
            let (least, most) = (red.min(green).min(blue), red.max(green).max(blue));
            (most - least, [red - least, green - least, blue - least])
        };
        let ((range, parts), (other_range, others)) = (place(one), place(other));
        parts
            .iter()
            .zip(others)
            .all(|(part, other)| (part * other_range - other * range).abs() <= 2 * range.max(other_range))
    }

    fn fault(text: &str) -> String {
        Accent::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        let contrast = |one: &str, two: &str| Color::parse(one).unwrap().contrast(Color::parse(two).unwrap());
        for (one, two, expected) in [
            ("#000000", "#ffffff", 21.0),
            ("#777777", "#ffffff", 4.48),
            ("#767676", "#ffffff", 4.54),
            ("#0000ff", "#ffffff", 8.59),
        ] {
            assert!((contrast(one, two) - expected).abs() < 0.01, "{one} {two} {}", contrast(one, two));
            assert!((contrast(two, one) - expected).abs() < 0.01);
        }
    }

    /// The backgrounds are those of the stylesheet.
    #[test]
    fn a_color_is_measured_on_what_it_is_shown_on() {
        let css = include_str!("../../templates/hallpass.css");
        let (light, dark) = css.split_once("@media (prefers-color-scheme: dark)").unwrap();
        assert!(light.contains(&format!("--canvas: {LIGHT};")) && dark.contains(&format!("--surface: {DARK};")));
        // None of the others of its scheme is worse.
        for (scheme, names, worst) in
            [(light, ["--surface", "--sunken"], LIGHT), (dark, ["--canvas", "--sunken"], DARK)]
        {
            for name in names {
                let value = scheme.split_once(&format!("{name}: ")).unwrap().1.split(';').next().unwrap();
                let value = if value == "#fff" { "#ffffff" } else { value };
                let other = Color::parse(value).unwrap().luminance();
                assert!(
                    if scheme == light { other >= worst.luminance() } else { other <= worst.luminance() },
                    "{name}"
                );
            }
        }
        // Ours is one that would be taken.
        assert!(Accent::parse("#0d5e4d,#7fd4ba").is_ok());
    }

    #[test]
    fn of_one_color_each_scheme_has_a_shade_of_its_hue_that_can_be_read() {
        for red in (0..=255u8).step_by(15) {
            for green in (0..=255u8).step_by(15) {
                for blue in (0..=255u8).step_by(15) {
                    let color = Color([red, green, blue]);
                    let Accent { light, dark } = Accent::parse(&color.to_string()).unwrap().unwrap();
                    assert!(light.contrast(LIGHT) >= LEAST && light.contrast(WHITE) >= LEAST, "{color} {light}");
                    assert!(dark.contrast(DARK) >= LEAST, "{color} {dark}");
                    assert!(same_hue(color, light) && same_hue(color, dark), "{color} {light} {dark}");
                    // A color that can be read is taken as it is.
                    assert!(color.contrast(LIGHT) < LEAST || light == color, "{color} {light}");
                    assert!(color.contrast(DARK) < LEAST || dark == color, "{color} {dark}");
                }
            }
        }
        let told = fault("#0d5e4d,#0d5e4d");
        assert!(told.contains("#0d5e4d has a contrast of 2.1:1 to the dark background #1a201e"), "{told}");
        let better = told.split("; ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(Accent::parse(&format!("#0d5e4d,{better}")).is_ok(), "{told}");
        let told = fault("#ffcc00,#ffcc00");
        assert!(told.contains("#ffcc00 has a contrast of 1.3:1 to the light background #f2f0ea"), "{told}");
        let better = told.split("; ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(Accent::parse(&format!("{better},#ffcc00")).is_ok(), "{told}");
    }

    #[test]
    fn what_is_no_color_is_refused() {
        for bad in [
            "red",
            "#fff",
            "#12345",
            "#1234567",
            "#gggggg",
            "#+12345",
            "0d5e4d",
            "#0d5e4d,",
            "#0d5e4d,#7fd4ba,#7fd4ba",
            "rgb(0,0,0)",
        ] {
            assert!(fault(bad).starts_with("must be a color"), "{bad}");
        }
        assert!(Accent::parse(" ").unwrap().is_none());
        let accent = Accent::parse(" #0D5E4D , #7fd4ba ").unwrap().unwrap();
        assert!(
            accent.stylesheet().contains("--accent: #0d5e4d;") && accent.stylesheet().contains("--accent: #7fd4ba;")
        );
    }

    #[test]
    fn links_lead_to_addresses_of_https_or_to_a_mailbox() {
        for good in ["https://example.com/help", "mailto:help@example.com", ""] {
            assert!(link(good).is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "example.com",
            "http://intranet/help",
            "mailto:",
            "//example.com",
            "https://",
            "https://a b",
            "ftp://example.com",
            "data:text/html,x",
        ] {
            assert!(link(bad).is_err(), "{bad}");
        }
    }

    /// Two files that are not text differ in bytes that read as the same text.
    #[test]
    fn the_version_changes_with_every_byte_of_the_logo() {
        let version = |bytes: &'static [u8]| {
            let logo = Logo { content: bytes.into(), content_type: "image/png" };
            Organization { logo: Some(logo), ..Organization::default() }.with_version().version
        };
        assert_ne!(version(b"\x89PNG \xfe"), version(b"\x89PNG \xff"));
        assert_eq!(version(b"\x89PNG").len(), 10);
    }

    #[test]
    fn a_name_is_one_line_of_some_length() {
        assert_eq!(name(" Example Ltd. ").unwrap().as_deref(), Some("Example Ltd."));
        assert_eq!(name("").unwrap(), None);
        assert!(name("a\nb").is_err() && name(&"x".repeat(61)).is_err());
    }
}
