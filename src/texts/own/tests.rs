//! What an operator's catalog may say, and what is told of what it may not.

use super::super::{Languages, sources};
use super::*;

fn of(files: &[(&str, &str)]) -> Result<OwnTexts, TextsFault> {
    let files = files.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned()));
    OwnTexts::of(files.collect(), |_| None)
}

fn remarks(file: &str, source: &str) -> Vec<String> {
    let own = of(&[(file, source)]).unwrap();
    let languages = Languages::of("en,de", &own).unwrap();
    own.remarks(&languages).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_wrong_by_itself_is_told_with_its_line() {
    for (source, why) in [
        ("a = A\n\nb = { $\n", "de.ftl, line 3: not Fluent"),
        ("# A\na = A\nwhat\n", "line 3: not Fluent: Expected a token starting with \"=\""),
        ("login-cancel = A\nb = B\nlogin-cancel = C\n", "line 3: login-cancel is there twice"),
        ("-a = A\n-a = B\n", "line 2: -a is there twice"),
        ("a = A { -b }\n", "line 1: a names -b, which is not in this file"),
        ("a = A { b }\n", "line 1: a names b, which is not in this file"),
        ("-b = { c }\na = A { -b }\n", "line 1: -b names c"),
        ("b = { $x ->\n   [one] { -c }\n  *[other] B\n }\n", "line 1: b names -c"),
        ("a = { NUMBER($x) }\n", "line 1: a calls NUMBER; there are no functions"),
        ("a = A\nb = { UPPER(\"x\") }\n", "line 2: b calls UPPER"),
        ("a = A\nb = \u{e002}\n", "line 2: the character U+E002"),
        ("a = { $x ->\n   [one] A\n }\n", "line 2: not Fluent: The select expression must have a default variant"),
        ("\na = { $client\n\n\n# B\nb = B\n", "line 2: not Fluent"),
        ("a = A\nb = { $client", "line 2: not Fluent"),
        ("brand = { -brand }\n-brand = Us\n", "line 2: brand is the name of a text and of a term"),
        ("-us = Us { $case }\na = A { -us }\n", "line 2: a names -us without its $case; write -us(case: …)"),
        ("-a = x\na-b = { -c }\n", "line 2: a-b names -c"),
        ("a = { \"\\uE000\" }\n", "line 1: the character U+E000"),
        ("a = A { b.c }\nb = B\n    .d = D\n", "line 1: a names b.c, which is not in this file"),
        ("a = A { b }\nb =\n    .d = D\n", "line 1: a names b, which is not in this file"),
        ("a = { b }\nb = { c }\nc = { a }\n", "names"),
        ("a = { a }\n", "line 1: a names a, and that names it again"),
        ("-a = { -b }\n-b = { -a }\nc = { -a }\n", "and that names it again"),
        ("a = A\n    .b = B\n    .b = C\n", "line 3: a.b is there twice"),
    ] {
        let told = of(&[("de.ftl", source)]).unwrap_err().to_string();
        assert!(told.contains(why), "{source:?}: {told}");
    }
    let much = format!("a = {}\n", "{ $x } ".repeat(91));
    assert!(of(&[("de.ftl", &much)]).unwrap_err().to_string().contains("line 1: a is put together of too many parts"));
    let deep = format!("a = A\nb = {}\n", "{ ".repeat(100_000));
    assert!(of(&[("de.ftl", &deep)]).unwrap_err().to_string().contains("line 2: braces are more than 20 deep"));
    let chain: Vec<String> = (0..50).map(|number| format!("t{number} = {{ t{} }}\n", number + 1)).collect();
    let chain = chain.concat();
    assert!(of(&[("de.ftl", &chain)]).unwrap_err().to_string().contains("names"));
}

#[test]
fn a_file_is_named_after_its_language() {
    for file in ["mail-texts.ftl", ".ftl", "und.ftl", "d.ftl", "de-.ftl", "french texts.ftl"] {
        let told = of(&[(file, "")]).unwrap_err().to_string();
        assert!(told.contains("named after no language"), "{file}: {told}");
    }
    let told = of(&[("de-CH.ftl", ""), ("de_ch.ftl", "")]).unwrap_err().to_string();
    assert_eq!(told, "de_ch.ftl and de-CH.ftl are of one language");
}

#[test]
fn a_text_that_this_version_has_not_is_told_and_the_others_are_there() {
    let told = remarks("de.ftl", "login-cancle = A\nlogin-cancel = B\n    .title = C\n");
    assert_eq!(
        told,
        [
            "de.ftl, line 3: no page and no mail has a text login-cancel.title",
            "de.ftl, line 1: no page and no mail has a text login-cancle"
        ]
    );
}

#[test]
fn a_text_with_a_variable_that_is_not_put_in_is_left_out() {
    let source = "login-heading = { $service }: anmelden\nlogin-cancel = { $client ->\n    [a] A\n   *[b] B\n }\nlogin-sign-in = Los\n";
    let told = remarks("de.ftl", source);
    assert_eq!(
        told,
        [
            "de.ftl, line 2: login-cancel has a variable $client, and is left out; nothing is put into that text",
            "de.ftl, line 1: login-heading has a variable $service, and is left out; what is put in is $client"
        ]
    );
    let own = of(&[("de.ftl", source)]).unwrap();
    let german = Languages::of("en,de", &own).unwrap().best(["de"].into_iter());
    let heading = german.text("login-heading").with("client", "A").to_string();
    assert!(heading.contains('A') && !heading.contains("service"), "{heading}");
    assert_eq!(german.text("login-sign-in").to_string(), "Los");
}

/// In the content of a page a mark stands for a name while its text is put together.
#[test]
fn a_text_that_chooses_by_a_name_is_left_out() {
    let source = "login-heading = { $client ->\n    [Reports] Los\n   *[other] Weiter\n }\n";
    let told = remarks("de.ftl", source);
    assert!(told.len() == 1 && told[0].contains("login-heading is another by $client, which is a name"), "{told:?}");
}

#[test]
fn a_text_that_names_one_with_another_variable_is_left_out_as_well() {
    let source = "login-cancel = Nach { login-heading }\nlogin-heading = Hier { -us } { $client }\n-us = Wir\n";
    assert_eq!(
        remarks("de.ftl", source),
        ["de.ftl, line 1: login-cancel has a variable $client, and is left out; nothing is put into that text"]
    );
}

#[test]
fn terms_and_other_texts_of_the_file_can_be_named() {
    let source = "-us = Beispiel { $case ->\n    [genitive] AGs\n   *[other] AG\n }\nlogin-cancel = Zur { -us }\nlogin-sign-in = Bei der { -us(case: \"genitive\") }\nconsent-new-tab = { login-cancel }!\n";
    assert_eq!(remarks("de.ftl", source), [""; 0]);
    let own = of(&[("de.ftl", source)]).unwrap();
    let german = Languages::of("de", &own).unwrap().best(["de"].into_iter());
    let said = |key| german.text(key).to_string();
    assert_eq!(said("login-cancel"), "Zur Beispiel AG");
    assert_eq!(said("login-sign-in"), "Bei der Beispiel AGs");
    assert_eq!(said("consent-new-tab"), "Zur Beispiel AG!");
}

#[test]
fn what_a_language_lacks_is_told_and_that_it_is_not_offered() {
    let own = of(&[("fr.ftl", "login-cancel = Annuler\n"), ("fr-CA.ftl", ""), ("it.ftl", ""), ("de.ftl", "")]).unwrap();
    let languages = Languages::of("en,de,fr-CA", &own).unwrap();
    let told: Vec<String> = own.remarks(&languages).iter().map(ToString::to_string).collect();
    let all = KNOWN.len();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("it.ftl is of a language that HALLPASS_LANGUAGES does not name"), "{told:?}");
    assert!(told[1].starts_with(&format!("fr-CA lacks {} texts", all - 1)), "{told:?}");
    assert!(told[1].ends_with(&format!(" and {} more", all - 1 - MOST_NAMED)), "{told:?}");
}

#[test]
fn a_text_that_is_there_in_part_leaves_the_rest_to_the_next() {
    let source = "scope-email = Ihre Adresse\n";
    let own = of(&[("de.ftl", source)]).unwrap();
    let german = Languages::of("de", &own).unwrap().best(["de"].into_iter());
    assert_eq!(german.text("scope-email").to_string(), "Ihre Adresse");
    let description = german.text("scope-email").attribute("description").to_string();
    assert!(description.len() > 15 && description != "Ihre Adresse", "{description}");
}

/// Whatever a catalog says, no one reads a placeholder.
#[test]
fn no_text_of_a_file_that_is_taken_has_a_placeholder() {
    let source = "-us = Wir { $case ->\n    [genitive] unser\n   *[other] uns\n }{ $of }\nlogin-cancel = { -us(of: \"x\") } { login-sign-in }\n\
        login-sign-in = { \"{\" } { -us(case: \"genitive\", of: 3) }\nscope-email = { scope-email.description }\n    .description = { login-sign-in }\n";
    let own = of(&[("de.ftl", source)]).unwrap();
    assert_eq!(remarks("de.ftl", source), [""; 0]);
    let german = Languages::of("de", &own).unwrap().best(["de"].into_iter());
    for (key, said) in [("login-cancel", "Wir unsx { Wir unser3"), ("scope-email", "{ Wir unser3")] {
        assert_eq!(german.text(key).to_string(), said);
    }
}

#[test]
fn our_own_catalogs_are_ones_that_an_operator_could_have_written() {
    for source in sources() {
        let own = of(&[(&format!("{}.ftl", source.language), source.whole)]).unwrap();
        let languages = Languages::of(source.language, &own).unwrap();
        assert_eq!(own.remarks(&languages), []);
    }
}
