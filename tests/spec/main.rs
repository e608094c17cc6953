//! The specification as tests.

fn main() {}
