//! Finds the kernel's fields: BTF and `/proc/kallsyms` in, [`Layout`] out. No field is known by
//! number anywhere in this project, and none is guessed.

use std::collections::HashMap;

use btf_rs::{Btf, Parameter, Type};
use sensor_ebpf::layout::{FIELDS, Layout};

/// Why the running kernel's layout could not be found.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// No BTF, or BTF that cannot be read.
    #[error(
        "cannot read the kernel's type information at {path}: {source}; a kernel with CONFIG_DEBUG_INFO_BTF=y is needed"
    )]
    Btf {
        /// The file.
        path: &'static str,
        /// What the parser says.
        source: btf_rs::Error,
    },
    /// A field that the programs read does not exist.
    #[error(
        "this kernel has no field {field} in struct {of}; this version of picket does not know its layout"
    )]
    Field {
        /// The structure.
        of: &'static str,
        /// The path of the field in it.
        field: &'static str,
    },
    /// A hook without the parameter that its program takes.
    #[error("the hook {hook} has no parameter {name}; this version of picket does not know it")]
    Parameter {
        /// The hook.
        hook: &'static str,
        /// The name of the parameter.
        name: &'static str,
    },
    /// Two fields that the programs read in one go are no neighbours.
    #[error(
        "struct {of}: {second} does not follow {first}; this version of picket does not know this kernel's layout"
    )]
    NotNeighbours {
        /// The structure.
        of: &'static str,
        /// The field that is read first.
        first: &'static str,
        /// The field that should follow.
        second: &'static str,
    },
    /// The symbol table cannot be read.
    #[error("cannot read {path}: {source}")]
    Symbols {
        /// The file.
        path: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A symbol is missing or its address is hidden.
    #[error(
        "/proc/kallsyms does not show the address of {0}; it takes root, kernel.kptr_restrict below 2, and CONFIG_KALLSYMS_ALL=y"
    )]
    Symbol(&'static str),
}

/// Where the kernel shows its types.
pub const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";
/// Where the kernel shows its symbols.
pub const KALLSYMS: &str = "/proc/kallsyms";

/// `DCACHE_PAR_LOOKUP` where BTF has no enum for it: a macro until 6.17.
const DCACHE_PAR_LOOKUP: u64 = 1 << 28;

impl BtfFields {
    /// Reads the running kernel's BTF.
    pub fn of_this_kernel() -> Result<BtfFields, LayoutError> {
        let btf = Btf::from_file(VMLINUX_BTF)
            .map_err(|source| LayoutError::Btf { path: VMLINUX_BTF, source })?;
        Ok(BtfFields { btf })
    }

    /// Byte offset of a field, given by its path in the structure (`a.b.c`).
    #[must_use]
    pub fn offset(&self, of: &str, path: &str) -> Option<u64> {
        let mut bits = 0;
        let mut ty = self
            .btf
            .resolve_types_by_name(of)
            .ok()?
            .into_iter()
            .find(|ty| matches!(ty, Type::Struct(of) if !of.members.is_empty()))?;
        for name in path.split('.') {
            let (at, of) = self.member(&ty, name)?;
            bits += u64::from(at);
            ty = of;
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// Bit offset and type of a member, in anonymous members too: on 7.3 `file.f_path` is in one.
    fn member(&self, ty: &Type, name: &str) -> Option<(u32, Type)> {
        let (Type::Struct(of) | Type::Union(of)) = self.strip(ty.clone())? else {
            return None;
        };
        for member in &of.members {
            let of_member = self.btf.resolve_chained_type(member).ok()?;
            let named = self.btf.resolve_name(member).unwrap_or_default();
            if named == name {
                return Some((member.bit_offset(), of_member));
            }
            if named.is_empty()
                && let Some((at, found)) = self.member(&of_member, name)
            {
                return Some((member.bit_offset() + at, found));
            }
        }
        None
    }

    /// The type without its qualifiers, names and attributes.
    fn strip(&self, mut ty: Type) -> Option<Type> {
        loop {
            ty = match &ty {
                Type::Const(of) | Type::Volatile(of) | Type::Restrict(of) => {
                    self.btf.resolve_chained_type(of).ok()?
                }
                Type::Typedef(of) => self.btf.resolve_chained_type(of).ok()?,
                Type::TypeTag(of) => self.btf.resolve_chained_type(of).ok()?,
                _ => return Some(ty),
            }
        }
    }

    /// Value of an enumerator.
    fn enumerator(&self, of: &str, name: &str) -> Option<u64> {
        self.btf.resolve_types_by_name(of).ok()?.iter().find_map(|ty| match ty {
            Type::Enum(of) => of.members.iter().find_map(|member| {
                (self.btf.resolve_name(member).ok()? == name).then(|| u64::from(member.val()))
            }),
            _ => None,
        })
    }

    /// Whether BPF LSM programs can be attached to a hook.
    #[must_use]
    pub fn has_hook(&self, hook: &str) -> bool {
        self.btf
            .resolve_types_by_name(&format!("bpf_lsm_{hook}"))
            .is_ok_and(|types| types.iter().any(|ty| matches!(ty, Type::Func(_))))
    }

    /// How the mounts of a file system hang together: [`Layout::mount_of_sb`] and
    /// [`Layout::mount_of_sb_next`].
    fn mounts_of_sb(&self) -> Result<(u64, u64), LayoutError> {
        if let Some(next) = self.offset("mount", "mnt_next_for_sb") {
            return Ok((0, next));
        }
        let (of, field) = ("mount", "mnt_instance");
        Ok((self.offset(of, field).ok_or(LayoutError::Field { of, field })?, 0))
    }

    /// The place of a hook's parameter among its parameters.
    fn parameter(&self, hook: &'static str, name: &'static str) -> Result<u64, LayoutError> {
        let missing = LayoutError::Parameter { hook, name };
        let types = self.btf.resolve_types_by_name(&format!("bpf_lsm_{hook}"));
        let function = types.ok().and_then(|types| {
            types.into_iter().find_map(|ty| match ty {
                Type::Func(function) => self.btf.resolve_chained_type(&function).ok(),
                _ => None,
            })
        });
        let Some(Type::FuncProto(prototype)) = function else { return Err(missing) };
        let named = |parameter: &Parameter| {
            self.btf.resolve_name(parameter).is_ok_and(|found| found == name)
        };
        prototype.parameters.iter().position(named).map(|at| at as u64).ok_or(missing)
    }

    /// The whole layout.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        let mut offsets = [0; FIELDS.len()];
        for (slot, (of, field)) in offsets.iter_mut().zip(FIELDS) {
            *slot = self.offset(of, field).ok_or(LayoutError::Field { of, field })?;
        }
        let mut layout = Layout::from_offsets(&offsets);
        neighbours("dentry", ("d_parent", layout.dentry_parent), ("d_name", layout.dentry_name))?;
        neighbours(
            "mount",
            ("mnt_parent", layout.mount_parent),
            ("mnt_mountpoint", layout.mount_mountpoint),
        )?;
        layout.dcache_par_lookup =
            self.enumerator("dentry_flags", "DCACHE_PAR_LOOKUP").unwrap_or(DCACHE_PAR_LOOKUP);
        (layout.mount_of_sb, layout.mount_of_sb_next) = self.mounts_of_sb()?;
        layout.setattr_dentry = self.parameter("inode_setattr", "dentry")?;
        let symbols = std::fs::read_to_string(KALLSYMS)
            .map_err(|source| LayoutError::Symbols { path: KALLSYMS, source })?;
        // A `seqlock_t` begins with its sequence counter.
        [layout.rename_seq, layout.mount_seq] = addresses(&symbols, ["rename_lock", "mount_lock"])?;
        Ok(layout)
    }
}

/// The running kernel's types.
pub struct BtfFields {
    btf: Btf,
}

/// Checks that a pointer-sized field is followed by another.
fn neighbours(
    of: &'static str,
    (first, at): (&'static str, u64),
    (second, next): (&'static str, u64),
) -> Result<(), LayoutError> {
    if next == at + 8 { Ok(()) } else { Err(LayoutError::NotNeighbours { of, first, second }) }
}

/// Addresses of data symbols in the text of `/proc/kallsyms`.
fn addresses<const N: usize>(
    symbols: &str,
    names: [&'static str; N],
) -> Result<[u64; N], LayoutError> {
    let mut found = HashMap::new();
    for line in symbols.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(address), Some(_), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
            && names.contains(&name)
        {
            found.entry(name).or_insert(u64::from_str_radix(address, 16).unwrap_or(0));
        }
    }
    let mut result = [0; N];
    for (slot, name) in result.iter_mut().zip(names) {
        let address = found.get(name).copied().unwrap_or(0);
        *slot = if address == 0 {
            return Err(LayoutError::Symbol(name));
        } else {
            address
        };
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_found_by_their_whole_name_and_hidden_ones_are_not_taken() {
        let text = "ffff01 t rename_lock_x\nffff02 D rename_lock\nffff03 d mount_lock\t[module]\n\
                    ffff04 D mount_lock\n";
        let found = addresses(text, ["rename_lock", "mount_lock"]).unwrap();
        assert_eq!(found, [0xff_ff02, 0xff_ff04]);
        let hidden = addresses("0000000000000000 D rename_lock\n", ["rename_lock"]);
        assert!(matches!(hidden, Err(LayoutError::Symbol("rename_lock"))));
    }

    #[test]
    fn fields_that_a_read_takes_together_must_be_neighbours() {
        assert!(neighbours("dentry", ("a", 24), ("b", 32)).is_ok());
        let error = neighbours("dentry", ("a", 24), ("b", 40)).unwrap_err().to_string();
        assert!(error.contains("struct dentry: b does not follow a"), "{error}");
    }
}
