//! The reader on the databases of `tests/identity`, and on folders of CSV that are written here.

use super::*;
use crate::protocol::totp;
use crate::store::identity_source::put_aside;
use crate::store::imports::{FOR_GOOD, LeftOut, Person, Role};
use clap::Parser as _;
use std::fmt::Write as _;
use std::fs;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

struct Outcome {
    people: Vec<Option<Person>>,
    roles: Vec<Role>,
    findings: Vec<Finding>,
    covered: BTreeSet<String>,
}

/// 2027-01-01T00:00:00Z.
const NOW: i64 = 1_798_761_600;

/// No flag of the command: no factor key seals here.
const WITHOUT_KEY: &str = "without a key";

fn at(folder: &str) -> String {
    format!("{}/tests/identity/{folder}", env!("CARGO_MANIFEST_DIR"))
}

async fn tried(source: &str, flags: &[&str]) -> Result<Outcome, Failure> {
    let given: Vec<&str> = flags.iter().copied().filter(|flag| *flag != WITHOUT_KEY).collect();
    let line =
        Line::try_parse_from([&["import", "--aspnet-identity", source], &given[..]].concat()).expect("good usage");
    let mut staging = Staging::new().await.unwrap();
    let mut findings = Vec::new();
    let circumstances = Circumstances { before: Keys::Unknown, may_seal: !flags.contains(&WITHOUT_KEY) };
    let covered = read(&line.arguments, &mut staging, circumstances, &mut |finding| findings.push(finding)).await?;
    let (people, roles) = put_aside(&mut staging).await;
    Ok(Outcome { people, roles, findings, covered })
}

async fn outcome(source: &str, flags: &[&str]) -> Outcome {
    tried(source, flags).await.unwrap_or_else(|failure| panic!("{}", failure.told()))
}

fn usage(flags: &[&str]) -> String {
    let error =
        Line::try_parse_from([&["import", "--aspnet-identity", "."], flags].concat()).err().expect("wrong usage");
    error.to_string()
}

fn as_expected(folder: &str, outcome: &Outcome) {
    let mut reader = csv::Reader::from_path(format!("{}/people.csv", at(folder))).unwrap();
    let mut number = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let (name, email, sub, what) = (&record[0], &record[1], &record[4], &record[6]);
        let person = outcome.people.iter().flatten().find(|person| person.sub.as_deref() == Some(sub)).expect(name);
        assert_eq!((person.username.as_str(), person.email.as_deref()), (name, Some(email)));
        let names = |key: &String| outcome.roles.iter().find(|role| role.key == *key).unwrap().name.clone();
        let roles: BTreeSet<String> = person.roles.iter().map(names).collect();
        assert_eq!(roles, record[5].split('|').filter(|role| !role.is_empty()).map(str::to_owned).collect(), "{name}");
        let left_out: Vec<&str> = person.left_out.iter().map(|left_out| left_out.member.as_str()).collect();
        let expected: &[&str] = match what {
            "nopassword" | "external" => &["PasswordHash"],
            _ => &[],
        };
        assert_eq!(left_out, expected, "{name}");
        // An authenticator that is switched off is none, although its key stays in the table.
        let second_factor = person.second_factor.as_ref().expect("the source says it of each");
        let secret = second_factor.authenticator.as_ref().map(totp::typed_secret);
        let secret = secret.map(|secret| secret.expose().replace(' ', "")).unwrap_or_default();
        assert_eq!(
            (secret.as_str(), what == "second"),
            (if what == "second" { &record[3] } else { "" }, !secret.is_empty())
        );
        assert_eq!(second_factor.recovery_codes.len(), if what == "second" { 5 } else { 0 }, "{name}");
        assert_eq!(person.locked_until.is_some_and(|until| until > NOW), what == "locked", "{name}");
        assert_eq!(person.password_hash.is_some(), !matches!(what, "nopassword" | "external"), "{name}");
        number += 1;
    }
    assert_eq!((number, outcome.people.len()), (24, 24));
    let person = |at: usize| {
        outcome.people[..]
            .iter()
            .flatten()
            .find(|person| person.email == Some(format!("person{at}@example.com")))
            .unwrap()
    };
    assert_eq!(person(0).claims["department"], serde_json::json!(["sales", "board"]));
    assert_eq!(person(6).claims["department"], serde_json::json!("it"));
    assert!(!person(0).email_verified && person(1).email_verified);
    assert_eq!(person(0).columns["phone_number"], "+442000000000");
    assert_eq!((person(13).locked_until, person(17).locked_until), (Some(1_935_810_490), Some(FOR_GOOD)));
    assert!(person(6).left_out[0].why.contains("Google") && !person(8).left_out[0].why.contains("Google"));
    let admin = outcome.roles.iter().find(|role| role.name == "admin").unwrap();
    assert_eq!(admin.claims["permission"], "everything");
    assert!(outcome.findings.iter().all(|finding| finding.weight == Weight::Note), "{:?}", outcome.findings);
    assert!(
        ["roles", "claims", "password_hash", "locked_until"].iter().all(|member| outcome.covered.contains(*member))
    );
}

#[tokio::test]
async fn each_database_gives_the_users_that_its_people_csv_names() {
    for (folder, source) in [
        ("sqlite-text-keys", format!("sqlite:{}/identity.db", at("sqlite-text-keys"))),
        ("sqlite-guid-keys", format!("sqlite:{}/identity.db", at("sqlite-guid-keys"))),
        ("sqlserver-csv", at("sqlserver-csv")),
    ] {
        let read = outcome(&source, &["--column", "FullName=name", "--column", "full_name=claim:full"]).await;
        as_expected(folder, &read);
        let named = read.people.iter().flatten().filter(|person| person.columns.contains_key("name")).count();
        assert!(named > 5 && read.covered.contains("name"), "{named}");
        let notes: Vec<&str> = read.findings.iter().map(|finding| finding.why.as_str()).collect();
        match folder {
            "sqlite-text-keys" => assert_eq!(
                notes,
                ["1 users have passkeys, which are bound to the host of the application and cannot be brought over"]
            ),
            _ => assert_eq!(notes, [""; 0]),
        }
    }
    let source = format!("sqlite:{}/identity.db", at("sqlite-text-keys"));
    let read = outcome(&source, &["--without-password", "--without-second-factor"]).await;
    assert!(read.people.iter().flatten().all(|person| person.left_out.is_empty() && person.second_factor.is_none()));
    // Without a factor key they are named with what to do, and not taken.
    let read = outcome(&source, &["--without-password", WITHOUT_KEY]).await;
    let left_out: Vec<&LeftOut> = read.people.iter().flatten().flat_map(|person| &person.left_out).collect();
    assert_eq!(left_out.len(), 3);
    for left_out in left_out {
        let fix = left_out.fix.as_deref().unwrap();
        assert!(fix.contains("key new --for factors") && fix.contains("--without-second-factor"), "{left_out:?}");
    }
}

#[tokio::test]
async fn a_broken_key_of_an_authenticator_is_named_with_table_key_and_member_and_its_user_is_not_taken() {
    let users = format!(
        "{HEADER}\n1,anna,anna@example.com,1,H,1,NULL,1,,0\n2,bert,b@example.com,1,H,1,NULL,1,,0\n3,carl,c@example.com,1,H,0,NULL,1,,0\n"
    );
    let tokens = "UserId,LoginProvider,Name,Value\n1,[AspNetUserStore],AuthenticatorKey,a-broken-secret-1\n\
                  2,[AspNetUserStore],AuthenticatorKey,HZQJYUYTDQZYCE7IZFFC5KUGVTEJ55XS\n\
                  2,[AspNetUserStore],RecoveryCodes,TC2DN-F2KGB;x;;K4CWP-9X38Q\n2,Google,access_token,a-foreign-secret\n\
                  3,[AspNetUserStore],AuthenticatorKey,a-broken-secret-3\n";
    let folder = exports(&[("AspNetUsers.csv", &users), ("AspNetUserTokens.csv", tokens)]);
    let read = outcome(&of(&folder), &[]).await;
    let named = |key: &str, line: u64| ("AspNetUserTokens".to_owned(), key.to_owned(), Some(line), "Value".to_owned());
    assert_eq!(faults(&read), [named("1, AuthenticatorKey", 2), named("2, RecoveryCodes", 4)]);
    assert!(read.findings.iter().all(|finding| !finding.why.contains("secret-1")));
    let taken: Vec<(&str, usize)> = read
        .people
        .iter()
        .flatten()
        .map(|person| (person.key.as_str(), person.second_factor.as_ref().unwrap().recovery_codes.len()))
        .collect();
    assert_eq!(taken, [("2", 2), ("3", 0)]);
    assert!(!format!("{:?}", read.people).contains("HZQJ"));
}

const HEADER: &str = "Id,UserName,Email,EmailConfirmed,PasswordHash,TwoFactorEnabled,LockoutEnd,LockoutEnabled,PhoneNumber,PhoneNumberConfirmed";
const HASH: &str = "AQAAAAIAAYagAAAAEH0ktK8N6RHjdDeKonTBRO3qx1g1PAJ39oEqx0Smjb2NqtTDMWNhwLTFc9JfsHLLNA==";

/// A folder of exports; `H` is a hash.
fn exports(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text.replace(",H,", &format!(",{HASH},"))).unwrap();
    }
    folder
}

fn of(folder: &tempfile::TempDir) -> String {
    folder.path().to_str().unwrap().to_owned()
}

fn faults(outcome: &Outcome) -> Vec<(String, String, Option<u64>, String)> {
    let faults = outcome.findings.iter().filter(|finding| finding.weight == Weight::Fault);
    let named = |finding: &Finding| {
        let place = finding.place.clone();
        (place.table.unwrap(), place.key, place.line, finding.member.clone())
    };
    faults.map(named).collect()
}

#[tokio::test]
async fn a_row_that_cannot_be_taken_is_named_with_table_key_line_and_member() {
    let users = format!(
        "{HEADER}\n1,anna,anna@example.com,1,H,0,NULL,1,,0\n2,,b@example.com,1,H,0,NULL,1,,0\n3,carl,c@example.com,1,H,0,soon,1,,0\n\
         4,dora,no address,1,H,0,NULL,0,,0\n5,emil,e@example.com,1,secret-of-emil,0,NULL,0,,0\n6,fritz,f@example.com,1,H,perhaps,NULL,0,,0\n\
         7,gerd,too,few\n8,hans,h@example.com,maybe,H,0,soon,0,,0\né,ines,i@example.com,1,H,0,NULL,0,,0\n9,jan,j@example.com,1,H,0,NULL,,,0\n"
    );
    let folder = exports(&[
        ("AspNetUsers.csv", &users),
        ("AspNetRoles.csv", "Id,Name\n1,editor\n2,\n3,\"  spaces \"\n"),
        ("AspNetUserRoles.csv", "UserId,RoleId\n1,1\n1,2\n1,9\n99,1\n"),
        (
            "AspNetUserClaims.csv",
            "Id,UserId,ClaimType,ClaimValue\n11,1,sub,x\n12,1,level,NULL\n13,1,level,high\n14,98,level,x\n15,1,email,x\n16,1,,x\n\
             17,1,http://schemas.microsoft.com/ws/2008/06/identity/claims/role,boss\n",
        ),
    ]);
    let read = outcome(&of(&folder), &[]).await;
    let anna = read.people.iter().flatten().next().unwrap();
    let named = |table: &str, key: &str, line: u64, member: &str| {
        (table.to_owned(), key.to_owned(), Some(line), member.to_owned())
    };
    let mut found = faults(&read);
    found.sort();
    let mut expected = vec![
        named("AspNetUsers", "2", 3, "UserName"),
        named("AspNetUsers", "3", 4, "LockoutEnd"),
        named("AspNetUsers", "4", 5, "Email"),
        named("AspNetUsers", "5", 6, "PasswordHash"),
        named("AspNetUsers", "6", 7, "TwoFactorEnabled"),
        named("AspNetUsers", "7", 8, ""),
        named("AspNetUsers", "8", 9, "EmailConfirmed"),
        named("AspNetUsers", "é", 10, "Id"),
        named("AspNetUsers", "9", 11, "LockoutEnabled"),
        named("AspNetRoles", "2", 3, "Name"),
        named("AspNetRoles", "3", 4, "Name"),
        named("AspNetUserRoles", "1, 9", 4, "RoleId"),
        named("AspNetUserRoles", "99, 1", 5, "UserId"),
        named("AspNetUserClaims", "11", 2, "ClaimType"),
        named("AspNetUserClaims", "12", 3, "ClaimValue"),
        named("AspNetUserClaims", "14", 5, "UserId"),
        named("AspNetUserClaims", "15", 6, "ClaimType"),
        named("AspNetUserClaims", "16", 7, "ClaimType"),
    ];
    expected.sort();
    assert_eq!(found, expected);
    assert!(read.findings.iter().all(|finding| !finding.why.contains("secret-of-emil")));
    // Of one that cannot be taken as well: the membership of before stays.
    assert_eq!(anna.roles, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
    assert_eq!(anna.claims["level"], "high");
    assert_eq!(anna.claims["http://schemas.microsoft.com/ws/2008/06/identity/claims/role"], "boss");
    // Taken without what could not be read; the others are known to be there.
    let taken: Vec<&str> = read.people.iter().flatten().map(|person| person.key.as_str()).collect();
    assert_eq!((taken, read.people.len()), (vec!["1", "4", "8"], 10));
    let notes: Vec<&str> = read
        .findings
        .iter()
        .filter(|it| it.weight == Weight::Note)
        .filter_map(|it| it.place.table.as_deref())
        .collect();
    assert_eq!(notes, ["AspNetRoleClaims", "AspNetUserLogins", "AspNetUserTokens"]);
}

#[tokio::test]
async fn fifty_claims_of_one_type_are_a_list_in_the_order_of_their_ids_and_too_long_ones_are_named() {
    let users = format!("{HEADER}\n1,anna,anna@example.com,1,H,0,NULL,1,,0\n");
    let mut claims = "Id,UserId,ClaimType,ClaimValue\n".to_owned();
    for id in (1..=50).rev() {
        let _ = writeln!(claims, "{id},1,level,v{id}");
    }
    let _ = writeln!(claims, "60,1,long,{}", "x".repeat(20_000));
    let folder = exports(&[("AspNetUsers.csv", &users), ("AspNetUserClaims.csv", &claims)]);
    let read = outcome(&of(&folder), &[]).await;
    let person = read.people[0].as_ref().unwrap();
    let level: Vec<String> = (1..=50).map(|id| format!("v{id}")).collect();
    assert_eq!(person.claims["level"], serde_json::json!(level));
    assert_eq!((person.claims.len(), faults(&read).len()), (1, 1));
}

#[tokio::test]
async fn exports_are_read_in_utf_16_with_tabs_with_semicolons_and_with_other_names() {
    let text = "\u{feff}id;user_name;email;email_confirmed;password_hash;two_factor_enabled;lockout_end;lockout_enabled\r\n\
                E10D8110-F2B7-4094-A949-2DAC652EE303;\"Jürgen;9\";NULL;True;NULL;False;NULL;False\r\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app_users.csv"), text).unwrap();
    let roles = "\u{feff}Id\tName\r\nA187E566-D5C0-47E4-9A14-4B45A8E79221\tBüro 🦀\r\n";
    let bytes: Vec<u8> = roles.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("dbo.AppRoles.csv"), bytes).unwrap();
    let read = outcome(&of(&folder), &["--without-password"]).await;
    assert_eq!(read.roles[0].name, "Büro 🦀");
    assert_eq!(read.roles[0].key, "a187e566-d5c0-47e4-9a14-4b45a8e79221");
    assert_eq!(read.people[0].as_ref().unwrap().username, "Jürgen;9");
    fs::write(folder.path().join("app_users.csv"), text.replace("Jürgen;9", "Jürgen9")).unwrap();
    let read = outcome(&of(&folder), &["--without-password"]).await;
    let person = read.people[0].as_ref().unwrap();
    assert_eq!(person.sub.as_deref(), Some("e10d8110-f2b7-4094-a949-2dac652ee303"));
    assert_eq!((person.username.as_str(), person.email.as_deref()), ("Jürgen9", None));
    assert!(!person.email_verified);
    let read = outcome(&of(&folder), &["--without-password", "--identity-keys", "text"]).await;
    assert_eq!(read.people[0].as_ref().unwrap().key, "E10D8110-F2B7-4094-A949-2DAC652EE303");
}

#[tokio::test]
async fn codes_by_mail_or_sms_stay_named_and_a_lock_of_net_framework_is_in_utc() {
    let users = "Id,UserName,Email,EmailConfirmed,PasswordHash,TwoFactorEnabled,LockoutEndDateUtc,LockoutEnabled\n\
                 a,anna,,0,H,1,2031-05-06 05:08:09.000,1\nb,bert,,0,H,1,2020-01-01 00:00:00,1\n";
    let folder = exports(&[
        ("AspNetUsers.csv", users),
        (
            "AspNetUserTokens.csv",
            "UserId,LoginProvider,Name,Value\nb,[AspNetUserStore],AuthenticatorKey,TTZUQ4EY6YSJQNNPGO4JXU6WMWEOXVNL\na,[AspNetUserStore],AuthenticatorKey,\n",
        ),
    ]);
    for (flags, left_out) in [(&[][..], [1, 0]), (&[WITHOUT_KEY], [1, 1]), (&["--without-second-factor"], [1, 0])] {
        let read = outcome(&of(&folder), flags).await;
        let people: Vec<&Person> = read.people.iter().flatten().collect();
        assert_eq!([people[0].left_out.len(), people[1].left_out.len()], left_out);
        assert!(
            people[0].left_out[0].why.contains("SMS")
                && people[0].left_out[0].fix.as_deref().unwrap().contains("sets up an authenticator")
        );
        // The second has passed: when it does is no change of the source.
        assert_eq!([people[0].locked_until, people[1].locked_until], [Some(1_935_810_489), Some(1_577_836_800)]);
        // It has no table of claims of roles.
        assert!(read.findings.iter().all(|it| it.place.table.as_deref() != Some("AspNetRoleClaims")));
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_there_is_and_the_option_that_says_it() {
    let without = |column: &str| HEADER.replace(&format!(",{column}"), "");
    let row = "\n1,anna,anna@example.com,1,H,0,NULL,1,,0\n";
    for (files, flags, texts) in [
        (
            vec![("people.csv", HEADER)],
            &[][..],
            &["there is no file AspNetUsers.csv", "people", "--table AspNetUsers=NAME"][..],
        ),
        (
            vec![("AspNetUsers.csv", without("LockoutEnd,LockoutEnabled").as_str())],
            &[],
            &["LockoutEnd, LockoutEnabled", "it has Id", "--identity-column LockoutEnd="],
        ),
        (vec![("AspNetUsers.csv", row)], &[], &["names no column", "header"]),
        (vec![("AspNetUsers.csv", HEADER)], &["--column", "FulName=name"], &["has no column FulName", "it has Id"]),
        (vec![("AspNetUsers.csv", HEADER)], &["--column", "PhoneNumbr=name"], &["did you mean PhoneNumber?"]),
        (
            vec![("AspNetUsers.csv", HEADER)],
            &["--table", "AspNetRoles=roles"],
            &["there is no table roles", "--table AspNetRoles="],
        ),
        (
            vec![("AspNetUsers.csv", HEADER)],
            &["--column", "Email=name", "--column", "UserName=name"],
            &["two columns would become name"],
        ),
    ] {
        let folder = exports(&files);
        let told = tried(&of(&folder), flags).await.err().expect("refused").told();
        for text in texts {
            assert!(told.contains(text), "{told}: {text}");
        }
        assert!(!told.contains("anna"), "{told}");
    }
    for (source, texts) in [
        ("/nowhere/at/all", &["there is no such folder", "sqlite:FILE"][..]),
        ("Server=db;User=app;Password=geheim", &["neither sqlite: nor postgres://"]),
        ("postgres://app:geheim@127.0.0.1:1/app", &["--aspnet-identity"]),
        ("sqlite:/nowhere/at/all.db", &["there is no such file"]),
        (env!("CARGO_MANIFEST_DIR"), &["there is no file AspNetUsers.csv"]),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), &["is a file", "sqlite:"]),
    ] {
        let told = tried(source, &[]).await.err().expect("refused").told();
        for text in texts {
            assert!(told.contains(text), "{told}: {text}");
        }
        assert!(!told.contains("geheim"), "{told}");
    }
}

#[test]
fn a_name_that_is_none_is_wrong_usage_with_the_nearest() {
    for (flags, text) in [
        (&["--column", "FullName=nmae"][..], "did you mean name?"),
        (&["--column", "FullName=claim:sub"], "set by the protocol"),
        (&["--column", "PasswordHash=claim:hash"], "secret of the application"),
        (&["--column", "FullName"], "COLUMN=CLAIM"),
        (&["--table", "AspNetUser=x"], "did you mean AspNetUsers?"),
        (&["--identity-column", "UserNam=x"], "did you mean UserName?"),
        (&["--identity-column", "UserName="], "cannot be left out"),
        (&["--identity-column", "AspNetRoles.Nam=x"], "did you mean Name?"),
        (&["--identity-keys", "number"], "guid"),
    ] {
        assert!(usage(flags).contains(text), "{}", usage(flags));
    }
}
