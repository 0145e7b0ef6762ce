//! Colours and type, in one place for plots, animations and pages. It decides looks only.

use super::chart::Color;
use plotters::style::{FontStyle, RGBColor, register_font};
use std::sync::Once;

pub const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
pub const INK: RGBColor = RGBColor(0x1F, 0x29, 0x37);
pub const MUTED: RGBColor = RGBColor(0x6B, 0x72, 0x80);
pub const GRID: RGBColor = RGBColor(0xE5, 0xE7, 0xEB);
pub const BAND: RGBColor = RGBColor(0xF3, 0xF4, 0xF6);
pub const TARGET: Color = Color(0x9C, 0xA3, 0xAF);
/// Amber and blue can be told apart with every common kind of colour blindness, on black and on white.
pub const EAGER: Color = Color(0xF2, 0xA9, 0x3B);
pub const TRACED: Color = Color(0x1D, 0x5F, 0xD1);
/// Much darker than the blue that it lies on, so that it stands out without its hue.
pub const DEVICE: Color = Color(0x3F, 0x0D, 0x4F);

/// Colours of series in order: those of Okabe and Ito, which can be told apart with every common kind of colour blindness,
/// with the amber and blue of this library.
pub const COLORS: [Color; 8] = [
    Color(0x1D, 0x5F, 0xD1),
    Color(0xF2, 0xA9, 0x3B),
    Color(0x00, 0x9E, 0x73),
    Color(0xD5, 0x5E, 0x00),
    Color(0xCC, 0x79, 0xA7),
    Color(0x56, 0xB4, 0xE9),
    Color(0x3F, 0x0D, 0x4F),
    Color(0x6B, 0x72, 0x80),
];

pub fn rgb(Color(r, g, b): Color) -> RGBColor {
    RGBColor(r, g, b)
}

/// The families as an SVG viewer reads them; the bitmap side looks the same string up in the embedded fonts.
pub const FONT: &str = "Inter, system-ui, sans-serif";

/// Logical pixels are drawn this many times larger: whole-pixel coordinates stay smooth when the SVG is shown at
/// its size, and the animation's frames are averaged down for soft edges.
pub const SCALE: i32 = 2;

/// Tells the plotting library of the fonts that this program carries, so that no system font is needed.
pub fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let regular = include_bytes!("../../assets/fonts/Inter-Regular.subset.ttf");
        let bold = include_bytes!("../../assets/fonts/Inter-SemiBold.subset.ttf");
        for (style, bytes) in [(FontStyle::Normal, &regular[..]), (FontStyle::Bold, &bold[..])] {
            assert!(
                register_font(FONT, style, bytes).is_ok(),
                "bug in allotrope: the embedded {} font does not parse",
                style.as_str()
            );
        }
    });
}

/// `#1D5FD1`, as the plots write it and the page's style sheet finds it.
pub fn hex(color: impl Into<RGBColor>) -> String {
    let RGBColor(r, g, b) = color.into();
    format!("#{r:02X}{g:02X}{b:02X}")
}
