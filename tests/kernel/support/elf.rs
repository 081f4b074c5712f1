//! Programs of a hundred bytes, which do nothing and succeed: what they need of a policy is only
//! what is to be tested.

/// Where the program is loaded.
const BASE: u64 = 0x40_0000;
/// Bytes of the file header, and of one program header.
const HEADER: usize = 64;
/// See [`HEADER`].
const PROGRAM_HEADER: usize = 56;

/// `exit(0)`: `mov eax, 60; xor edi, edi; syscall`.
const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];

/// A static program.
pub fn program() -> Vec<u8> {
    build(None)
}

/// A program that asks for an interpreter (`PT_INTERP`), which the kernel loads and starts instead.
pub fn with_interpreter(interpreter: &str) -> Vec<u8> {
    build(Some(interpreter))
}

fn build(interpreter: Option<&str>) -> Vec<u8> {
    let count = 1 + usize::from(interpreter.is_some());
    let code_at = HEADER + count * PROGRAM_HEADER;
    let text_at = code_at + CODE.len();
    let text: Vec<u8> =
        interpreter.map(|path| [path.as_bytes(), b"\0"].concat()).unwrap_or_default();
    let total = (text_at + text.len()) as u64;
    let mut file = header(BASE + code_at as u64, count as u16);
    if interpreter.is_some() {
        file.extend(segment(3, text_at as u64, text.len() as u64));
    }
    file.extend(segment(1, 0, total));
    file.extend(CODE);
    file.extend(text);
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

/// `Elf64_Phdr` of a readable and executable segment: `PT_LOAD` is 1, `PT_INTERP` 3.
fn segment(kind: u32, offset: u64, size: u64) -> Vec<u8> {
    const READ_EXECUTE: u32 = 5;
    let mut bytes = [kind.to_le_bytes(), READ_EXECUTE.to_le_bytes()].concat();
    for word in [offset, BASE + offset, BASE + offset, size, size, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}
