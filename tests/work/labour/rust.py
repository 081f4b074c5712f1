"""cargo and rustc from where rustup has them, without a registry."""

from rows import work

CARGO = "set -e; export PATH=~/.cargo/bin:$PATH CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never\n"

RUST = [
    work(
        "rust",
        "cargo_new_build_run_and_test",
        f"{CARGO}cargo new -q app --vcs none; cargo new -q --lib dep --vcs none; cd app; cargo add -q --path ../dep\n"
        "printf 'fn main() {{ println!(\"adds {{}}\", dep::add(2, 3)); }}\\n#[test]\\nfn it_adds() {{ assert_eq!(dep::add(1, 1), 2); }}\\n' > src/main.rs\n"
        "printf 'fn main() {{ println!(\"cargo:rustc-env=BUILT=1\"); }}\\n' > build.rs\n"
        "cargo run -q; cargo test -q; touch src/main.rs; cargo build -q; cargo clean -q; ls".replace(
            "{{", "{"
        ).replace(
            "}}", "}"
        ),
        "adds 5",
        patience=600,
    ),
    work(
        "rust",
        "rustc_and_a_procedural_macro",
        f"{CARGO}printf 'extern crate proc_macro;\\n#[proc_macro]\\npub fn seven(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{ \"7\".parse().unwrap() }}\\n' > m.rs\n".replace(
            "{{", "{"
        ).replace(
            "}}", "}"
        )
        + "rustc --edition 2021 --crate-type proc-macro m.rs; echo 'fn main() { println!(\"seven {}\", m::seven!()); }' > p.rs\n"
        "rustc --edition 2021 --extern m=libm.so p.rs; ./p",
        "seven 7",
        patience=400,
    ),
]
