//! Picket's BPF LSM programs.
fn main() {}
