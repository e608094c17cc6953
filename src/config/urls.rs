//! The URLs of the two stores: their forms and parameters. A misspelt parameter would be left out, and the connection not be
//! verified; so what is not known stops.

use super::{DatabaseUrl, EphemeralUrl};
use crate::protocol::difference::most_like;
use std::path::PathBuf;
use url::Url;

pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if let Some((file, parameters)) = path.split_once('?') {
            let name = parameters.split(['=', '&']).next().unwrap_or_default();
            return Err(format!(
                "has the unknown parameter {name:?}: a SQLite file takes none; write sqlite:{}",
                if file.is_empty() { "hallpass.db" } else { file }
            ));
        }
        if path.is_empty() || path.contains(":memory:") {
            return Err("must name a file, such as sqlite:hallpass.db".into());
        }
        Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
    } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let url = parse(text)?;
        refuse_split_password(&url)?;
        for (name, value) in url.query_pairs() {
            postgres_parameter(&name, &value)?;
        }
        Ok(DatabaseUrl::Postgres(text.to_owned().into()))
    } else {
        Err("must begin with sqlite: or postgres://".into())
    }
}

/// A URL, of whose text nothing is repeated: it may hold a password.
fn parse(text: &str) -> Result<Url, String> {
    text.parse().map_err(|error| match error {
        url::ParseError::InvalidPort => {
            "has a port that is no number up to 65535; if the password holds an @, a / or a :, \
             write it percent-encoded (%40, %2F, %3A)"
                .to_owned()
        }
        url::ParseError::EmptyHost => "names no host".to_owned(),
        _ => "is not a valid URL; special characters in a password must be percent-encoded".to_owned(),
    })
}

/// A `?` or a `#` in a password ends the address before the host: what follows is a part of the password and is not told.
fn refuse_split_password(url: &Url) -> Result<(), String> {
    let is_split = [url.query(), url.fragment()].into_iter().flatten().any(|part| part.contains('@'));
    if is_split || url.fragment().is_some() {
        return Err(
            "has a ? or a # in the middle; in a password they are written percent-encoded (%3F, %23)".to_owned()
        );
    }
    Ok(())
}

/// What can stand behind the question mark of a PostgreSQL URL.
const POSTGRES_PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];
/// How the server is verified.
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Those that name a file.
const POSTGRES_FILES: &[&str] = &["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// What was probably meant.
fn offer(known: &[&'static str], sent: &str) -> String {
    let near = most_like(sent, known, |known| known, 3);
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn postgres_parameter(name: &str, value: &str) -> Result<(), String> {
    // `options[NAME]` sets a parameter of the session.
    let is_known = POSTGRES_PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'));
    if !is_known {
        return Err(format!("has the unknown parameter {name:?}{}", offer(POSTGRES_PARAMETERS, name)));
    }
    if matches!(name, "sslmode" | "ssl-mode") && !SSL_MODES.contains(&value) {
        let offer = offer(SSL_MODES, value);
        return Err(format!("has {name}={value:?}, which is none of {}{offer}", SSL_MODES.join(", ")));
    }
    let is_good = match name {
        "port" => value.parse::<u16>().is_ok(),
        "hostaddr" => value.parse::<std::net::IpAddr>().is_ok(),
        "statement-cache-capacity" => value.parse::<usize>().is_ok(),
        _ => true,
    };
    if is_good { Ok(()) } else { Err(format!("has {name}={value:?}, which is no value for it")) }
}

/// The files that a PostgreSQL URL names, each with the parameter that does.
pub(crate) fn postgres_files(url: &str) -> Vec<(String, PathBuf)> {
    let url = Url::parse(url).ok();
    let pairs = url.iter().flat_map(Url::query_pairs).filter(|(name, _)| POSTGRES_FILES.contains(&&**name));
    pairs.map(|(name, value)| (name.into_owned(), PathBuf::from(value.into_owned()))).collect()
}

pub(super) fn redis_url(text: &str) -> Result<EphemeralUrl, String> {
    if text.is_empty() {
        return Ok(EphemeralUrl::Memory);
    }
    if let Some(rest) = text.strip_prefix("redis+sentinel://") {
        sentinel(rest)?;
    } else {
        for node in text.split(',').map(str::trim) {
            redis_node(node)?;
        }
    }
    Ok(EphemeralUrl::Redis(text.to_owned().into()))
}

/// What a URL of Sentinels may be; `store::redis` takes it apart the same way.
fn sentinel(rest: &str) -> Result<(), String> {
    const FORM: &str = "must have the form redis+sentinel://[user:password@]host:port,…/service[/database]";
    let (authority, path) = rest.split_once('/').ok_or(FORM)?;
    if path.contains(['?', '#']) {
        return Err(format!("{FORM}, without parameters"));
    }
    let (credentials, hosts) =
        authority.rsplit_once('@').map_or((None, authority), |(credentials, hosts)| (Some(credentials), hosts));
    let is_host = |host: &str| {
        host.trim().rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
    };
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    let is_good = credentials.is_none_or(|credentials| credentials.contains(':'))
        && hosts.split(',').all(is_host)
        && !service.is_empty()
        && (database.is_empty() || database.parse::<u32>().is_ok());
    if is_good { Ok(()) } else { Err(FORM.into()) }
}

/// One server, or one node of a cluster.
fn redis_node(text: &str) -> Result<(), String> {
    if !["redis://", "rediss://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err("must begin with redis://, rediss:// or redis+sentinel://".into());
    }
    let url = parse(text)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host".into());
    }
    let is_tls = url.scheme() == "rediss";
    match url.fragment() {
        None => {}
        Some("insecure") if is_tls => {}
        Some("insecure") => return Err("has #insecure, which is for rediss:// alone".into()),
        Some(other) => return Err(format!("has the unknown #{other}{}", offer(&["insecure"], other))),
    }
    let database = url.path().trim_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err("names a database behind its host that is no number, such as /0".into());
    }
    for (name, value) in url.query_pairs() {
        if name != "protocol" {
            let hint = if matches!(&*name, "ssl" | "tls" | "sslmode" | "ssl_cert_reqs") {
                "; TLS is rediss:// instead of redis://, and its certificate is always verified".to_owned()
            } else {
                offer(&["protocol"], &name)
            };
            return Err(format!("has the unknown parameter {name:?}{hint}"));
        }
        if !matches!(&*value, "2" | "3" | "resp2" | "resp3") {
            return Err(format!("has protocol={value:?}, which is none of resp2, resp3"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_redis_or_sqlite_does_not_know_stops_instead_of_being_left_out() {
        for (bad, told) in [
            ("rediss://r:6379?insecur=1", "\"insecur\""),
            ("rediss://r:6379/#insecur", "did you mean insecure?"),
            ("redis://r:6379/#insecure", "for rediss:// alone"),
            ("redis://r:6379?ssl=true", "rediss:// instead of redis://"),
            ("rediss://r:6379?ssl_cert_reqs=required", "always verified"),
            ("redis://r:6379?protcol=resp3", "did you mean protocol?"),
            ("redis://r:6379?protocol=resp9", "none of resp2, resp3"),
            ("redis://r:6379/abc", "no number"),
            ("redis://r:99999", "a port that is no number"),
            ("redis://", "names no host"),
            ("redis://a,rediss://b?tls=1", "\"tls\""),
            ("redis+sentinel://a:1/x?tls=1", "without parameters"),
            ("redis+sentinel://a/x", "must have the form"),
            ("redis+unix:///tmp/x", "must begin with"),
        ] {
            let why = redis_url(bad).unwrap_err();
            assert!(why.contains(told), "{bad}: {why}");
        }
        for good in [
            "redis://r",
            "rediss://u:p@r:6379/2?protocol=resp3#insecure",
            "redis://a:1, redis://b:2",
            "redis+sentinel://:p@a:1,b:2/x/3",
            "redis://[::1]:6379",
        ] {
            assert!(redis_url(good).is_ok(), "{good}");
        }
        for (bad, told) in [
            ("sqlite:x.db?mode=ro", "unknown parameter \"mode\": a SQLite file takes none; write sqlite:x.db"),
            ("sqlite::memory:", "must name a file"),
            ("postgres://u@h:99999/d", "a port that is no number"),
            ("postgres://u@h/d?port=many", "no value for it"),
        ] {
            let why = database_url(bad).unwrap_err();
            assert!(why.contains(told), "{bad}: {why}");
        }
    }
}
