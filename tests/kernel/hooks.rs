//! One file a hook, named as the hook. Each has a [`Case`](crate::support::case::Case) of its own
//! for the situations that are the same everywhere, and tests of what is special about it.

mod file_open;
