//! The mail server of our own set-up: whether it would take mails, and what waits for it.

use super::lately::span;
use super::report::Report;
use crate::config::Config;
use crate::mail::Mailer;
use crate::mailing::layout;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::mail_outbox;

/// How long a mail may wait until that is told, in seconds.
const LONG: i64 = 900;

pub(super) async fn check(report: &mut Report, config: &Config, db: Option<&Db>, now: NumericDate) {
    if let Err(failure) = layout::check(config) {
        report.failure("mail", failure, "docs/languages.md says what a layout is given");
    }
    match Mailer::of(config) {
        Ok(None) => {}
        Ok(Some(mailer)) => match mailer.probe().await {
            Ok(()) => report.ok("mail", format!("{} takes mails", mailer.place())),
            Err(failure) => report.failure("mail", failure, "check HALLPASS_SMTP_URL"),
        },
        Err(failure) => report.failure("mail", failure, "check HALLPASS_OUTBOUND_CA"),
    }
    let Some(db) = db else { return };
    // Where the table is missing, the migrations said so.
    let Ok(waiting) = mail_outbox::waiting(db).await else { return };
    let Some(oldest) = waiting.oldest.map(|at| now.since(NumericDate(at))).filter(|age| *age >= LONG) else { return };
    let (count, age) = (waiting.count, span(oldest));
    let what = if count == 1 { "a mail waits".to_owned() } else { format!("{count} mails wait, the oldest") };
    let (what, fix) = match waiting.last_result {
        Some(why) => (format!("{what} since {age} ago: {why}"), "the log of a node that sends mails says more"),
        None => (format!("{what} since {age} ago, and none was tried"), "run a node with HALLPASS_SMTP_URL"),
    };
    report.warning("mail", what, fix);
}
