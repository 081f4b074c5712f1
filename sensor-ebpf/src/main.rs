//! Picket's BPF LSM programs, one object. On any other target this is an empty program, so that
//! the workspace builds, lints and tests without a BPF toolchain.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// For one atomic instruction; see `bpf/emit.rs`.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod bpf;

#[cfg(not(target_arch = "bpf"))]
fn main() {}

/// A panic is never reached: the verifier refuses a program that could loop here.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The helpers that the programs call are offered to GPL-compatible programs only.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
