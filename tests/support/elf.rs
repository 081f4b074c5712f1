//! Programs of a hundred bytes: what they need of a policy is only what is to be tested.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Where a program is loaded.
const BASE: u64 = 0x40_0000;
/// Where an interpreter is, which must not be where the program is.
const INTERPRETER_BASE: u64 = 0x80_0000;
/// Bytes of the file header, and of one program header.
const HEADER: usize = 64;
/// See [`HEADER`].
const PROGRAM_HEADER: usize = 56;

/// `exit(0)`: `mov eax, 60; xor edi, edi; syscall`.
const EXIT: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];

/// `exit(open(path, O_RDONLY) < 0 ? errno : 0)`, with the path right behind it.
#[rustfmt::skip]
const OPEN: [u8; 33] = [
    0xb8, 2, 0, 0, 0, // mov eax, 2
    0x48, 0x8d, 0x3d, 21, 0, 0, 0, // lea rdi, [rip + 21]
    0x31, 0xf6, // xor esi, esi
    0x0f, 0x05, // syscall
    0x31, 0xff, // xor edi, edi
    0x85, 0xc0, // test eax, eax
    0x79, 0x04, // jns +4
    0xf7, 0xd8, // neg eax
    0x89, 0xc7, // mov edi, eax
    0xb8, 60, 0, 0, 0, // mov eax, 60
    0x0f, 0x05, // syscall
];

/// `exit(mkdir(path, 0777) < 0)`, with the path right behind it.
#[rustfmt::skip]
const MAKE: [u8; 36] = [
    0xb8, 83, 0, 0, 0, // mov eax, 83
    0x48, 0x8d, 0x3d, 24, 0, 0, 0, // lea rdi, [rip + 24]
    0xbe, 0xff, 0x01, 0, 0, // mov esi, 0777
    0x0f, 0x05, // syscall
    0x31, 0xff, // xor edi, edi
    0x85, 0xc0, // test eax, eax
    0x79, 0x04, // jns +4
    0xf7, 0xd8, // neg eax
    0x89, 0xc7, // mov edi, eax
    0xb8, 60, 0, 0, 0, // mov eax, 60
    0x0f, 0x05, // syscall
];

/// `for (;;) pause()`.
const WAIT: [u8; 9] = [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

/// A static program that waits until it is ended.
pub fn waiter() -> Vec<u8> {
    build(BASE, &WAIT, None, b"")
}

/// A static program that does nothing, and succeeds.
pub fn program() -> Vec<u8> {
    build(BASE, &EXIT, None, b"")
}

/// The same as an interpreter of others. A whole page: up to 6.1 the kernel writes zeros behind the
/// last segment of an interpreter, even where it may not be written (`load_elf_interp`).
pub fn interpreter() -> Vec<u8> {
    let before = HEADER + PROGRAM_HEADER + EXIT.len();
    build(INTERPRETER_BASE, &EXIT, None, &vec![0; 4096 - before])
}

/// A program that asks for an interpreter (`PT_INTERP`), which the kernel loads and starts instead.
pub fn with_interpreter(interpreter: &Path) -> Vec<u8> {
    build(BASE, &EXIT, Some(interpreter), b"")
}

/// A static program that opens a file for reading, and whose exit code is 0 or the errno.
pub fn opener(path: &Path) -> Vec<u8> {
    build(BASE, &OPEN, None, &with_nul(path))
}

/// A static program that makes a directory, so that it shows afterwards that it ran; its exit code is 0
/// or the errno.
pub fn maker(path: &Path) -> Vec<u8> {
    build(BASE, &MAKE, None, &with_nul(path))
}

/// The same as an interpreter of others; see [`interpreter`].
pub fn maker_as_interpreter(path: &Path) -> Vec<u8> {
    let name = with_nul(path);
    let before = HEADER + PROGRAM_HEADER + MAKE.len() + name.len();
    let page = [name, vec![0; 4096 - before]].concat();
    build(INTERPRETER_BASE, &MAKE, None, &page)
}

fn with_nul(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_bytes(), b"\0"].concat()
}

fn build(base: u64, code: &[u8], interpreter: Option<&Path>, data: &[u8]) -> Vec<u8> {
    let name = interpreter.map(with_nul).unwrap_or_default();
    let count = 1 + usize::from(interpreter.is_some());
    let code_at = HEADER + count * PROGRAM_HEADER;
    let name_at = code_at + code.len() + data.len();
    let mut file = header(base + code_at as u64, count as u16);
    if interpreter.is_some() {
        file.extend(segment(base, 3, name_at as u64, name.len() as u64));
    }
    file.extend(segment(base, 1, 0, (name_at + name.len()) as u64));
    file.extend([code, data, &name].concat());
    file
}

/// `Elf64_Ehdr` (`elf(5)`): little-endian x86-64, `ET_EXEC`.
fn header(entry: u64, segments: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    for half in [2_u16, 62] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes());
    for word in [entry, HEADER as u64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [HEADER as u16, PROGRAM_HEADER as u16, segments, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

/// `Elf64_Phdr` of a segment: `PT_LOAD` is 1, `PT_INTERP` 3. Writable too, because 6.1 clears the rest
/// of an interpreter's last page (`fs/binfmt_elf.c:load_elf_interp`) and fails where it may not.
fn segment(base: u64, kind: u32, offset: u64, size: u64) -> Vec<u8> {
    const READ_WRITE_EXECUTE: u32 = 7;
    let mut bytes = [kind.to_le_bytes(), READ_WRITE_EXECUTE.to_le_bytes()].concat();
    for word in [offset, base + offset, base + offset, size, size, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}
