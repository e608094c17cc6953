//! The file of the logo: a PNG of some size, or an SVG that runs nothing and fetches nothing.
//!
//! Browsers run no script of a picture within a page, and the answer has a policy of its own for who opens it alone
//! (`src/endpoints/assets.rs`). What is refused here is refused so that a file from elsewhere is looked at before it is served.

use axum::body::Bytes;
use roxmltree::{Document, Node};
use std::path::{Path, PathBuf};

/// The largest file, in bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// The most pixels of a side.
const MOST_SIDE: u32 = 2048;
const SVG: &str = "http://www.w3.org/2000/svg";

/// A picture that may be served.
#[derive(Clone)]
pub struct Logo {
    /// The file. A copy of it for an answer copies nothing.
    pub content: Bytes,
    /// Its type.
    pub content_type: &'static str,
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Logo").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// Why a file cannot be the logo.
#[derive(Debug, thiserror::Error)]
pub enum PictureFault {
    /// It cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than a logo.
    #[error("{}: has {bytes} bytes, and {MOST_BYTES} are the most", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// How large.
        bytes: u64,
    },
    /// It is something else.
    #[error("{}: is neither a PNG nor an SVG", file.display())]
    Unknown {
        /// The file.
        file: PathBuf,
    },
    /// A PNG that is not whole.
    #[error("{}: is a PNG that is broken or broken off", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
    },
    /// A PNG with very many pixels.
    #[error("{}: has {width} × {height} pixels, and {MOST_SIDE} × {MOST_SIDE} are the most", file.display())]
    Pixels {
        /// The file.
        file: PathBuf,
        /// How wide.
        width: u32,
        /// How high.
        height: u32,
    },
    /// An SVG that cannot be served.
    #[error("{} line {line}: {what}", file.display())]
    Svg {
        /// The file.
        file: PathBuf,
        /// The line in it.
        line: u32,
        /// What is there.
        what: String,
    },
}

impl Logo {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, is too large, is neither PNG nor SVG, or an SVG with a script or a reference to something outside.
    pub(in crate::config) fn read(file: &Path) -> Result<Self, PictureFault> {
        let unreadable = |source| PictureFault::Unreadable { file: file.to_owned(), source };
        let bytes = std::fs::metadata(file).map_err(unreadable)?.len();
        if bytes > MOST_BYTES {
            return Err(PictureFault::TooLarge { file: file.to_owned(), bytes });
        }
        Self::of(std::fs::read(file).map_err(unreadable)?, file)
    }

    fn of(content: Vec<u8>, file: &Path) -> Result<Self, PictureFault> {
        if let Some(behind) = content.strip_prefix(b"\x89PNG\r\n\x1a\n") {
            check_png(behind, file)?;
            return Ok(Self { content: content.into(), content_type: "image/png" });
        }
        let text = std::str::from_utf8(&content).map_err(|_| PictureFault::Unknown { file: file.to_owned() })?;
        if !text.contains("<svg") && !text.contains(":svg") {
            return Err(PictureFault::Unknown { file: file.to_owned() });
        }
        match fault_of_svg(text) {
            Some((line, what)) => Err(PictureFault::Svg { file: file.to_owned(), line, what }),
            None => Ok(Self { content: content.into(), content_type: "image/svg+xml" }),
        }
    }
}

/// Reads the chunks behind the signature: [PNG 5.3](https://www.w3.org/TR/png-3/#5Chunk-layout).
fn check_png(mut rest: &[u8], file: &Path) -> Result<(), PictureFault> {
    let broken = || PictureFault::Broken { file: file.to_owned() };
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    let mut is_first = true;
    let mut has_data = false;
    loop {
        let (head, behind) = rest.split_at_checked(8).ok_or_else(broken)?;
        let length = number(&head[..4]).and_then(|length| usize::try_from(length).ok()).ok_or_else(broken)?;
        let (data, behind) = behind.split_at_checked(length).ok_or_else(broken)?;
        let (_, behind) = behind.split_at_checked(4).ok_or_else(broken)?;
        match (&head[4..], is_first) {
            (b"IHDR", true) if data.len() == 13 => {
                let (width, height) = number(&data[..4]).zip(number(&data[4..8])).ok_or_else(broken)?;
                if width == 0 || height == 0 {
                    return Err(broken());
                }
                if width > MOST_SIDE || height > MOST_SIDE {
                    return Err(PictureFault::Pixels { file: file.to_owned(), width, height });
                }
            }
            (b"IDAT", false) => has_data = true,
            (b"IEND", false) if has_data && behind.is_empty() => return Ok(()),
            (_, true) | (b"IEND", _) => return Err(broken()),
            _ => {}
        }
        is_first = false;
        rest = behind;
    }
}

/// What in an SVG would run, fetch or lead somewhere, with its line.
fn fault_of_svg(text: &str) -> Option<(u32, String)> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return Some((error.pos().row, format!("is not well-formed XML: {error}"))),
    };
    let root = document.root_element();
    let found = |node: Node<'_, '_>, what: String| Some((document.text_pos_at(node.range().start).row, what));
    if root.tag_name().name() != "svg" || root.tag_name().namespace() != Some(SVG) {
        return found(root, format!("the outermost element is not <svg xmlns=\"{SVG}\">"));
    }
    for node in document.descendants() {
        if let Some(instruction) = node.pi() {
            return found(node, format!("has the instruction <?{}?>", shortened(instruction.target)));
        }
        if node.is_element()
            && let Some(what) = fault_of_element(node)
        {
            return found(node, what);
        }
    }
    None
}

/// Elements that run or embed something, or move.
const REFUSED: [&str; 14] = [
    "script",
    "foreignobject",
    "iframe",
    "object",
    "embed",
    "audio",
    "video",
    "canvas",
    "handler",
    "listener",
    "set",
    "animate",
    "animatetransform",
    "animatemotion",
];

fn fault_of_element(node: Node<'_, '_>) -> Option<String> {
    let name = node.tag_name().name();
    if REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
        return Some(format!("has <{name}>; a logo runs, embeds and moves nothing"));
    }
    for attribute in node.attributes() {
        let (name, value) = (attribute.name().to_ascii_lowercase(), attribute.value().trim());
        if name.starts_with("on") {
            return Some(format!("has the script {name}={:?}", shortened(value)));
        }
        let is_reference = matches!(name.as_str(), "href" | "src" | "base" | "from" | "to");
        if is_reference && !is_within(value) {
            return Some(format!("refers to {:?}, which is outside of the file", shortened(value)));
        }
        if let Some(what) = fault_of_style(value) {
            return Some(what);
        }
    }
    let style = (name == "style").then(|| node.descendants().filter_map(|node| node.text()).collect::<String>());
    style.as_deref().and_then(fault_of_style)
}

/// Whether a reference stays in the file: a fragment, or a picture that is written out.
fn is_within(reference: &str) -> bool {
    let is_pixels = |kind: &str| reference.strip_prefix("data:image/").is_some_and(|rest| rest.starts_with(kind));
    reference.is_empty()
        || reference.starts_with('#')
        || ["png;", "jpeg;", "gif;", "webp;"].iter().any(|kind| is_pixels(kind))
}

/// What in a style, or in an attribute that may hold one, leads outside.
fn fault_of_style(style: &str) -> Option<String> {
    let lower = style.to_ascii_lowercase();
    for word in ["@import", "javascript:", "expression(", "image-set(", "image(", "src("] {
        if lower.contains(word) {
            return Some(format!("has {word:?} in {:?}", shortened(style)));
        }
    }
    if lower.contains('\\') && lower.contains(['(', '@', ':']) {
        return Some(format!("has an escape in the style {:?}", shortened(style)));
    }
    lower.split("url(").skip(1).find_map(|rest| {
        let target = rest.trim_start_matches([' ', '"', '\'', '\t', '\n', '\r']);
        (!is_within(target) || target.is_empty())
            .then(|| format!("refers to {:?}, which is outside of the file", shortened(target)))
    })
}

/// What is shown of something in a file.
fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG of that size; nothing of its pixels is read.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut content = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend([8, 6, 0, 0, 0]);
        for (kind, data) in [(b"IHDR", header), (b"IDAT", vec![1, 2, 3]), (b"IEND", Vec::new())] {
            content.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            content.extend(kind);
            content.extend(data);
            content.extend([0; 4]);
        }
        content
    }

    fn read(content: impl Into<Vec<u8>>) -> Result<&'static str, String> {
        let logo = Logo::of(content.into(), Path::new("logo"));
        logo.map(|logo| logo.content_type).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_png_is_whole_and_has_some_pixels() {
        assert_eq!(read(png(512, 2048)).unwrap(), "image/png");
        assert!(read(png(2049, 1)).unwrap_err().contains("2049 × 1 pixels, and 2048 × 2048 are the most"));
        for broken in
            [png(0, 1), png(1, 1)[..30].to_vec(), [png(1, 1), vec![0]].concat(), b"\x89PNG\r\n\x1a\n".to_vec()]
        {
            assert!(read(broken).unwrap_err().contains("broken"));
        }
        assert!(read("GIF89a").unwrap_err().contains("neither a PNG nor an SVG"));
        assert!(read(vec![0xff, 0xd8, 0xff]).is_err());
    }

    fn svg(inside: &str) -> String {
        format!("<svg xmlns=\"{SVG}\" xmlns:xlink=\"http://www.w3.org/1999/xlink\">\n<g>\n{inside}\n</g></svg>")
    }

    #[test]
    fn an_svg_that_stays_in_its_file_is_taken() {
        for good in [
            "<path d=\"M0 0h9v9z\" fill=\"url(#a)\" style=\"stroke: url( '#b' )\"/>",
            "<style>.a { fill: #123456; clip-path: url(#c) }</style><use href=\"#a\" xlink:href=\"#b\"/>",
            "<image href=\"data:image/png;base64,AAAA\"/>",
            "<!-- <script> in a comment --><title>one</title><metadata><x xmlns=\"urn:x\" about=\"\"/></metadata>",
        ] {
            assert_eq!(read(svg(good)).unwrap(), "image/svg+xml", "{good}");
        }
        assert!(read(include_str!("../../../templates/icon.svg")).is_ok());
    }

    #[test]
    fn an_svg_that_runs_or_fetches_something_is_refused_with_its_line() {
        for bad in [
            "<script>alert(1)</script>",
            "<x:SCRIPT xmlns:x=\"http://www.w3.org/1999/xhtml\"/>",
            "<foreignObject/>",
            "<path onload=\"alert(1)\"/>",
            "<path OnClick=\"x\"/>",
            "<image href=\"https://evil.example/x.png\"/>",
            "<image xlink:href=\"//evil.example/x.png\"/>",
            "<use href=\"other.svg#a\"/>",
            "<image href=\"data:image/svg+xml;base64,AAAA\"/>",
            "<a href=\"javascript:alert(1)\"/>",
            "<path fill=\"url(https://evil.example/#a)\"/>",
            "<path style=\"fill: url('//evil.example/a')\"/>",
            "<path style=\"fill: u\\72l(//evil.example/a)\"/>",
            "<style>@import 'https://evil.example/a.css';</style>",
            "<style><![CDATA[ path { fill: url(https://evil.example) } ]]></style>",
            "<g xml:base=\"https://evil.example/\"/>",
            "<animate attributeName=\"href\" to=\"javascript:alert(1)\"/>",
            "<?xml-stylesheet href=\"https://evil.example/a.css\"?>",
        ] {
            let told = read(svg(bad)).unwrap_err();
            assert!(told.starts_with("logo line 3: "), "{bad}: {told}");
        }
        let told = read(format!("<!DOCTYPE svg [<!ENTITY a 'b'>]>\n{}", svg("&a;"))).unwrap_err();
        assert!(told.contains("line 1"), "{told}");
        let told = read(svg("<path>")).unwrap_err();
        assert!(told.contains("not well-formed"), "{told}");
        assert!(read("<svg/>").unwrap_err().contains("xmlns"));
        assert!(read(format!("<html><svg xmlns=\"{SVG}\"/></html>")).is_err());
    }

    #[test]
    fn a_file_has_so_many_bytes_at_the_most() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("logo.svg");
        std::fs::write(&file, svg(&" ".repeat(64 * 1024))).unwrap();
        assert!(Logo::read(&file).unwrap_err().to_string().contains("and 65536 are the most"));
        assert!(Logo::read(&folder.path().join("none")).unwrap_err().to_string().contains("none: "));
    }
}
