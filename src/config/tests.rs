//! The settings from all their sources, and what an operator is told of a bad one.

use super::*;

fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    RawConfig::gather(|_| None, environment, None)?.check()
}

/// What the operator is told.
fn told(pairs: &[(&str, &str)]) -> String {
    Failure::from(config(pairs).unwrap_err()).told()
}

#[test]
fn the_defaults_are_sound() {
    let config = config(&[]).unwrap();
    assert_eq!(config.issuer, "http://localhost:8080");
    assert_eq!((config.base_path(), config.origin()), ("", "http://localhost:8080"));
}

#[test]
fn an_issuer_may_have_a_path() {
    let config = config(&[("HALLPASS_ISSUER", "https://id.example.com/auth")]).unwrap();
    assert_eq!((config.base_path(), config.origin()), ("/auth", "https://id.example.com"));
}

#[test]
fn a_bad_setting_names_itself_and_gives_an_example() {
    for (name, value) in [
        ("HALLPASS_ISSUER", "http://id.example.com"),
        ("HALLPASS_ISSUER", "https://id.example.com/"),
        ("HALLPASS_ISSUER", "https://ID.example.com"),
        ("HALLPASS_ISSUER", "https://id.example.com:443"),
        ("HALLPASS_ISSUER", "https://id.example.com?x"),
        ("HALLPASS_ISSUER", "id.example.com"),
        ("HALLPASS_LISTEN", "8080"),
        ("HALLPASS_DATABASE_URL", "mysql://x"),
        ("HALLPASS_DATABASE_URL", "sqlite::memory:"),
        ("HALLPASS_REDIS_URL", "localhost:6379"),
        ("HALLPASS_MIGRATIONS", "/there/is/no/such/folder"),
        ("HALLPASS_TRUSTED_PROXIES", "every proxy"),
        ("HALLPASS_CODE_LIFETIME", "3600"),
        ("HALLPASS_CODE_LIFETIME", "soon"),
        ("HALLPASS_NAME", "two\nlines"),
        ("HALLPASS_LOGO", "logo.svg"),
        ("HALLPASS_ACCENT", "green"),
        ("HALLPASS_ACCENT", "#0d5e4d,#0d5e4d"),
        ("HALLPASS_HELP_URL", "javascript:alert(1)"),
        ("HALLPASS_PRIVACY_URL", "http://example.com/privacy"),
        ("HALLPASS_IMPRINT_URL", "example.com"),
        ("HALLPASS_REMEMBER", "sometimes"),
        ("HALLPASS_REMEMBER", "Always"),
        ("HALLPASS_AUDIT_RETENTION", "0"),
        ("HALLPASS_AUDIT_RETENTION", "90d"),
    ] {
        let message = told(&[(name, value)]);
        assert!(message.starts_with(name) && message.contains("Example: "), "{message}");
    }
}

#[test]
fn an_empty_value_stops_where_a_default_would_take_its_place_unseen_and_is_unset_elsewhere() {
    for setting in SETTINGS {
        for blank in ["", "  "] {
            let of_environment = config(&[(&setting.variable(), blank)]);
            let of_flag = RawConfig::gather(
                |other| (other.name == setting.name).then(|| blank.to_owned()),
                std::iter::empty(),
                None,
            );
            let text = format!("{} = {blank:?}", setting.name);
            let of_file = RawConfig::gather(|_| None, std::iter::empty(), Some((Path::new("hallpass.toml"), &text)));
            let of_all = [of_environment.map(drop), of_flag.map(drop), of_file.map(drop)];
            for taken in of_all {
                assert_eq!(taken.is_err(), setting.is_never_empty(), "{} {taken:?}", setting.name);
            }
        }
        assert!(!setting.is_never_empty() || !setting.default.is_empty(), "{}", setting.name);
    }
    let message = told(&[("HALLPASS_DATABASE_URL", "")]);
    assert!(message.contains("HALLPASS_DATABASE_URL") && message.contains("is empty"), "{message}");
    // What is unset in the environment still holds in the file.
    let file = (Path::new("hallpass.toml"), "code_lifetime = 120");
    let raw = RawConfig::gather(|_| None, [("HALLPASS_CODE_LIFETIME".into(), String::new())].into_iter(), Some(file));
    assert_eq!(raw.unwrap().check().unwrap().code_lifetime, 120);
}

#[test]
fn a_misspelt_parameter_of_the_database_stops_instead_of_being_left_out() {
    let message = |query: &str| told(&[("HALLPASS_DATABASE_URL", &format!("postgres://u@h/d?{query}"))]);
    assert!(message("sslmod=verify-full").contains("\"sslmod\"; did you mean sslmode?"));
    assert!(message("sslmode=verify_full").contains("did you mean verify-full?"));
    assert!(message("sslmode=verify-full&sslrotcert=/ca.pem").contains("did you mean sslrootcert?"));
    assert!(message("SSLMODE=verify-full").contains("unknown parameter"));
    assert!(message("sslmode=").contains("none of disable"));
    for good in
        ["sslmode=verify-full&sslrootcert=/ca.pem", "application_name=x", "options[search_path]=a", "host=/run/p"]
    {
        assert!(config(&[("HALLPASS_DATABASE_URL", &format!("postgres://u@h/d?{good}"))]).is_ok(), "{good}");
    }
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let message = told(&[("HALLPASS_DATABASE_URL", "mysql://u:hunter2@h/d")]);
    assert!(!message.contains("hunter2"), "{message}");
    let shown = format!("{:?}", config(&[("HALLPASS_DATABASE_URL", "postgres://u:hunter2@h/d")]).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_fault_of_the_file_is_told_with_its_line() {
    let told = |text: &str| {
        let file = Some((Path::new("hallpass.toml"), text));
        let read = RawConfig::gather(|_| None, std::iter::empty(), file).and_then(|raw| raw.check());
        read.unwrap_err().to_string()
    };
    for (text, start) in [
        ("issuer = \"https://a.example\"\n\nlisten = \n", "hallpass.toml, line 3: not TOML: "),
        ("keys = \"a\"\nkeys = \"b\"", "hallpass.toml, line 2: not TOML: duplicate key"),
        ("\nisuer = \"https://a.example\"", "isuer (from hallpass.toml, line 2): there is no such setting"),
        ("# x\n[server]\nissuer = \"a\"", "server (from hallpass.toml, line 2): there is no such setting"),
        ("\n\n code_lifetime=9999", "HALLPASS_CODE_LIFETIME (from code_lifetime in hallpass.toml, line 3): must be"),
    ] {
        assert!(told(text).starts_with(start), "{}", told(text));
    }
}

#[test]
fn an_unknown_setting_stops_the_start_and_offers_the_nearest() {
    let message = config(&[("HALLPASS_ISUER", "https://id.example.com")]).unwrap_err().to_string();
    assert!(message.contains("Did you mean HALLPASS_ISSUER?"), "{message}");
    let file = RawConfig::gather(|_| None, std::iter::empty(), Some((Path::new("hallpass.toml"), "colour = 'red'")));
    assert!(file.unwrap_err().to_string().contains("hallpass.toml"));
}

/// A setting that does nothing would be believed.
#[test]
fn a_setting_of_a_later_version_is_unknown_whatever_its_value() {
    for (name, value) in [
        ("HALLPASS_REGISTRATION", "off"),
        ("HALLPASS_REGISTRATION_TOKEN_FILE", "tokens"),
        ("HALLPASS_UNSIGNED_REQUEST_OBJECTS", "refuse"),
        ("HALLPASS_RESPONSE_TYPES", "code"),
        ("HALLPASS_OUTBOUND_ALLOW", "10.0.0.0/8"),
    ] {
        let message = told(&[(name, value)]);
        assert!(message.starts_with(&format!("{name} (from the environment): there is no such setting.")), "{message}");
        assert!(message.contains("Example: "), "{message}");
    }
}

#[test]
fn flags_speak_before_the_environment_and_that_before_the_file() {
    let file =
        Some((Path::new("hallpass.toml"), "code_lifetime = 30\naccess_token_lifetime = 300\nid_token_lifetime = 100"));
    let environment = [("HALLPASS_CODE_LIFETIME", "40"), ("HALLPASS_ACCESS_TOKEN_LIFETIME", "400")];
    let config = RawConfig::gather(
        |setting| (setting.name == "code_lifetime").then(|| "50".to_owned()),
        environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())),
        file,
    )
    .unwrap()
    .check()
    .unwrap();
    assert_eq!((config.code_lifetime, config.access_token_lifetime, config.id_token_lifetime), (50, 400, 100));
}

#[test]
fn an_ipv6_listener_is_an_address_and_not_a_list() {
    assert!(config(&[("HALLPASS_LISTEN", "[::1]:8080")]).unwrap().listen.is_ipv6());
}

#[test]
fn the_server_of_mails_and_the_address_they_come_from_are_set_together() {
    let server = ("HALLPASS_SMTP_URL", "smtps://smtp.example.com");
    let from = ("HALLPASS_MAIL_FROM", "id@example.com");
    assert!(config(&[]).unwrap().smtp_url.is_none());
    let both = config(&[server, from]).unwrap();
    assert_eq!((both.smtp_url.is_some(), both.mail_from.as_str()), (true, "id@example.com"));
    assert!(told(&[server]).contains("needs HALLPASS_MAIL_FROM"));
    let message = told(&[from]);
    assert!(
        message.starts_with("HALLPASS_SMTP_URL (from the default of smtp_url)") && message.contains("MAIL_FROM"),
        "{message}"
    );
    let shown = format!("{:?}", config(&[("HALLPASS_SMTP_URL", "smtps://id:hunter2@smtp.example.com"), from]).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
