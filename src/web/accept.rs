//! What a request asks for: which of two media types (`Accept`,
//! [RFC 9110 section 12.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1)), and which languages.

use axum::http::{HeaderMap, header};

/// How many languages are looked at; browsers send a few.
const MOST_LANGUAGES: usize = 20;

/// Whether a request names `wanted` itself and wants it no less than `default`, which all other requests get: wildcards, an
/// absent header and what cannot be read ask for nothing in particular.
#[must_use]
pub fn asks_for(headers: &HeaderMap, wanted: &str, default: &str) -> bool {
    let ranges: Vec<(String, u16)> = ranges(headers, &header::ACCEPT).collect();
    let weight = |name: &str| ranges.iter().filter(|(range, _)| range == name).map(|(_, weight)| *weight).max();
    let family = default.split('/').next().map(|family| format!("{family}/*")).unwrap_or_default();
    // The most specific range that fits decides.
    let of_default = weight(default).or_else(|| weight(&family)).or_else(|| weight("*/*")).unwrap_or(0);
    weight(wanted).is_some_and(|of_wanted| of_wanted > 0 && of_wanted >= of_default)
}

/// The languages that a request asks for, the most wanted first; those that it refuses are left out. `Accept-Language`,
/// [RFC 9110 section 12.5.4](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4).
#[must_use]
pub fn languages(headers: &HeaderMap) -> Vec<String> {
    let ranges = ranges(headers, &header::ACCEPT_LANGUAGE).filter(|(_, weight)| *weight > 0);
    let mut ranges: Vec<(String, u16)> = ranges.take(MOST_LANGUAGES).collect();
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    ranges.into_iter().map(|(range, _)| range).collect()
}

fn ranges(headers: &HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = (String, u16)> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(range)
}

/// A range in lower case with its weight in thousandths; parameters of the type itself change nothing here. `None`:
/// there is none, or its weight cannot be read.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut weight = 1000;
    for (parameter, value) in parts.filter_map(|part| part.split_once('=')) {
        if parameter.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    Some((name, weight))
}

/// `qvalue`, [RFC 9110 section 12.4.2](https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2): 0 to 1 with three decimals at most.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_sound = matches!(whole, "0" | "1") && decimals.len() <= 3 && decimals.bytes().all(|b| b.is_ascii_digit());
    let weight = format!("{whole}{decimals:0<3}").parse().ok()?;
    (is_sound && weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_an_explicit_ask_is_one() {
        let asks = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
            }
            asks_for(&headers, "application/jwk-set+json", "application/json")
        };
        for asking in [
            &["application/jwk-set+json"][..],
            &["Application/JWK-Set+JSON"],
            &["application/jwk-set+json;charset=utf-8"],
            &["application/json, application/jwk-set+json"],
            &["application/jwk-set+json;q=0.5, */*;q=0.1"],
            &["application/jwk-set+json ; q=0.9 , application/json;q=0.8"],
            &["application/jwk-set+json;q=0.001"],
            &["text/html", "application/jwk-set+json"],
            &["application/*;q=0.2, application/jwk-set+json;q=0.3"],
            &["*/*, application/json;q=0.1, application/jwk-set+json;q=0.2"],
        ] {
            assert!(asks(asking), "{asking:?}");
        }
        for other in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/*"],
            &["application/json"],
            &["application/jwk+json"],
            &["application/jwk-set+json;q=0"],
            &["application/jwk-set+json;q=0.000"],
            &["application/jwk-set+json;q=0.5, application/json"],
            &["application/jwk-set+json;q=0.5, application/*"],
            &["application/jwk-set+json;q=0.5, */*"],
            &["application/jwk-set+json;q=2"],
            &["application/jwk-set+json;q=1.5"],
            &["application/jwk-set+json;q=much"],
            &["text/html, application/xhtml+xml, */*;q=0.8"],
        ] {
            assert!(!asks(other), "{other:?}");
        }
    }

    #[test]
    fn languages_come_in_the_order_of_their_weights() {
        let asked = |value: &str| {
            let headers = [(header::ACCEPT_LANGUAGE, HeaderValue::from_str(value).unwrap())].into_iter().collect();
            languages(&headers).join(" ")
        };
        for (value, expected) in [
            ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de-de de en-us en"),
            ("en;q=0.5, de", "de en"),
            ("en;q=0.5, de;q=0.5", "en de"),
            ("de;q=0, en;q=0.1", "en"),
            ("*, de;q=0.3", "* de"),
            ("de;q=2, ,;q=1", ""),
            ("", ""),
        ] {
            assert_eq!(asked(value), expected, "{value}");
        }
        assert_eq!(languages(&HeaderMap::new()), [""; 0]);
        assert_eq!(asked(&"de,".repeat(100)).split(' ').count(), MOST_LANGUAGES);
    }
}
