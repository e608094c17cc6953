//! What a cell says, in whatever way a database or its tools write it. Nothing depends on the zone of this machine.

use crate::store::imports::FOR_GOOD;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const SECONDS_OF_MINUTE: i64 = 60;
const SECONDS_OF_HOUR: i64 = 3600;
/// The year that `DateTimeOffset.MaxValue` lies in.
const LAST_YEAR: i64 = 9999;

/// True or false, as SQLite, SQL Server and PostgreSQL write it; `None`: neither.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" => Some(true),
        "0" | "false" | "f" => Some(false),
        _ => None,
    }
}

/// An instant in Unix seconds, a fraction rounded up; one without a zone is in UTC, as Identity writes it. `infinity` and any of
/// the year 9999 and later is `FOR_GOOD`, `-infinity` and any before our era the least that there is. `None`: it is none.
pub(super) fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "infinity" => return Some(FOR_GOOD),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    if let Some(before) = text.strip_suffix(" BC") {
        return instant(before).map(|_| i64::MIN);
    }
    let (date, rest) = text.split_at_checked(text.find(['T', ' ']).unwrap_or(text.len()))?;
    let mut parts = date.splitn(3, '-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if date.find('-')? < 4 {
        return None;
    }
    let (time, offset) = match rest.get(1..) {
        None => ("00:00:00", 0),
        Some(rest) => {
            let at = rest.find(['+', '-', 'Z', 'z']).unwrap_or(rest.len());
            let (time, zone) = rest.split_at_checked(at)?;
            (time.trim_end(), offset(zone)?)
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut parts = time.splitn(3, ':').map(number);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    // What no calendar has is none, in any year.
    let within = year.min(LAST_YEAR - 1);
    let leap = if month == 2 && day == 29 && year > within { 9996 } else { within };
    let civil = DateTime::new(
        i16::try_from(leap).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        0,
    );
    let civil = civil.ok()?;
    if year >= LAST_YEAR {
        return Some(FOR_GOOD);
    }
    let seconds = Offset::UTC.to_timestamp(civil).ok()?.as_second();
    let rounded_up = i64::from(fraction.bytes().any(|byte| byte != b'0'));
    Some((seconds - offset + rounded_up).min(FOR_GOOD))
}

fn number(text: &str) -> Option<i64> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// How far a zone is ahead of UTC, in seconds: `+02:00`, `+0200`, `+02`, `Z`, or nothing.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) if hours.len() == 2 && minutes.len() == 2 => (hours, minutes),
        None if rest.len() == 4 => rest.split_at(2),
        None if rest.len() == 2 => (rest, "00"),
        _ => return None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 15 && minutes < 60).then_some(sign * (hours * SECONDS_OF_HOUR + minutes * SECONDS_OF_MINUTE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_sql_server_postgres_and_sqlite_write_it() {
        // 2031-05-06T05:08:09Z.
        const AT: i64 = 1_935_810_489;
        for (text, expected) in [
            ("2031-05-06 07:08:09.1234567 +02:00", AT + 1),
            ("2031-05-06 07:08:09.0000000 +02:00", AT),
            ("2031-05-06 05:08:09.123+00", AT + 1),
            ("2031-05-06 05:08:09+00", AT),
            ("2031-05-06 07:08:09.1234567+02:00", AT + 1),
            ("2031-05-05 23:08:09-0600", AT),
            ("2031-05-06 10:53:09+05:45", AT),
            ("2031-05-06T05:08:09Z", AT),
            ("2031-05-06 05:08:09.000", AT),
            ("2031-05-06 05:08:09", AT),
            ("2031-05-06 05:08", AT - 9),
            ("2031-05-06", AT - 18_489),
            ("9999-12-31 23:59:59.9999999 +00:00", FOR_GOOD),
            ("9999-12-31 23:59:59.9999999+00:00", FOR_GOOD),
            ("10000-01-01 00:00:00+00", FOR_GOOD),
            ("infinity", FOR_GOOD),
            ("-infinity", i64::MIN),
            ("0044-03-15 00:00:00+00 BC", i64::MIN),
            ("0001-01-01 00:00:00+00:00", -62_135_596_800),
            ("9998-12-31 23:59:59.5-12:00", FOR_GOOD - 365 * 86_400 + 12 * 3600 + 1),
        ] {
            assert_eq!(instant(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "soon",
            "NULL",
            "0",
            "1935810489",
            "2031-13-06 00:00:00",
            "2031-02-30 00:00:00",
            "9999-02-30",
            "31-05-06",
            "2031-05-06 25:00:00",
            "2031-05-06 05:08:09+2",
            "2031-05-06 05:08:09+02:00:00:00",
            "2031-05-06 05:08:09.x",
            "2031-05-06 05:08:09 Europe/Berlin",
            "May  6 2031  7:08AM",
            "06/05/2031 07:08:09",
            "-",
            "2031--1-06",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn true_and_false_are_read_as_each_database_writes_them() {
        for text in ["1", "True", "true", "TRUE", "t", " 1 "] {
            assert_eq!(truth(text), Some(true), "{text}");
        }
        for text in ["0", "False", "false", "f"] {
            assert_eq!(truth(text), Some(false), "{text}");
        }
        for text in ["", "2", "-1", "yes", "NULL", "on"] {
            assert_eq!(truth(text), None, "{text}");
        }
    }
}
