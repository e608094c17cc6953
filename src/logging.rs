//! The log: readable on a terminal, JSON otherwise, on standard error.
//!
//! `RUST_LOG` sets the level of our own records. Other libraries are capped at `info`, because below that some
//! of them write what they carry: headers, and with them secrets.

use std::io::IsTerminal as _;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Starts logging; a second call changes nothing.
pub fn start(default_level: &str) {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level));
    let cap = filter_fn(|metadata| metadata.target().starts_with("hallpass") || *metadata.level() <= Level::INFO);
    let is_terminal = std::io::stderr().is_terminal();
    let colors = is_terminal && std::env::var_os("NO_COLOR").is_none();
    let writer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = if is_terminal { writer.with_ansi(colors).boxed() } else { writer.json().flatten_event(true).boxed() };
    let _ = tracing_subscriber::registry().with(layer.with_filter(cap).with_filter(wanted)).try_init();
}
