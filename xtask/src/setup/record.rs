//! The record that tells the build script of `sensor-user` which tools make the kernel half: lines
//! of `KEY=VALUE`, no quoting. The build script has a reader of its own, because it must not depend
//! on this crate.

use std::path::Path;

use anyhow::{Result, bail};

use super::{
    cache::{Cache, Lock},
    compiler::Compiler,
};

/// The record's name in the cache.
pub const NAME: &str = "bpf-toolchain.env";

/// Writes the record; one that says the same already is not touched, so that nothing is rebuilt for
/// it.
///
/// # Errors
/// When a path has a line break in it or is no UTF-8, and those of writing.
pub fn write(cache: &Cache, lock: &Lock, compiler: &Compiler, linker: &Path) -> Result<()> {
    cache.write(lock, NAME, &text(compiler, linker)?)
}

/// Whether the record is there and says just this.
#[must_use]
pub fn says(cache: &Cache, compiler: &Compiler, linker: &Path) -> bool {
    let wanted = text(compiler, linker).ok();
    wanted.is_some() && wanted == std::fs::read_to_string(cache.path(NAME)).ok()
}

fn text(compiler: &Compiler, linker: &Path) -> Result<String> {
    let mut text = format!("# written by cargo xtask setup; {}\n", compiler.version);
    let mut put = |key: &str, path: &Path| match path.to_str() {
        Some(path) if !path.contains('\n') => {
            text.push_str(&format!("{key}={path}\n"));
            Ok(())
        }
        _ => bail!("{path:?} cannot be recorded: it is not one line of UTF-8"),
    };
    put("RUSTC", &compiler.rustc)?;
    if let Some(cargo) = &compiler.cargo {
        put("CARGO", cargo)?;
    }
    put("BPF_LINKER", linker)?;
    text.push_str("RUSTC_BOOTSTRAP=1\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_a_line_a_tool() {
        let compiler = Compiler {
            rustc: "/usr/bin/rustc".into(),
            cargo: None,
            version: "rustc 1.96.0".into(),
        };
        let wanted = "# written by cargo xtask setup; rustc 1.96.0\nRUSTC=/usr/bin/rustc\nBPF_LINKER=/c/bpf-linker\nRUSTC_BOOTSTRAP=1\n";
        assert_eq!(text(&compiler, Path::new("/c/bpf-linker")).unwrap(), wanted);
        assert!(text(&compiler, Path::new("/c/bpf\nlinker")).is_err());
    }
}
