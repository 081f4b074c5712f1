//! `bpf(2)`: to find and cut the programs' links, as the mutation run and attackers do.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::owned;
use crate::support::sys::{Errno, Mut, Ref, Res, Word as _, c_path, sys};

const PROG_GET_NEXT_ID: i32 = 11;
const PROG_GET_FD_BY_ID: i32 = 13;
const MAP_GET_NEXT_ID: i32 = 12;
const MAP_GET_FD_BY_ID: i32 = 14;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const RAW_TRACEPOINT_OPEN: i32 = 17;
const OBJ_GET: i32 = 7;

/// The program with an id.
pub fn program(id: u32) -> Res<OwnedFd> {
    let attributes = [id, 0, 0];
    sys!(SYS_bpf, PROG_GET_FD_BY_ID, Ref(&attributes), size_of_val(&attributes)).map(owned)
}

/// A program's name, which the kernel cuts after 15 bytes.
pub fn program_name(program: &OwnedFd) -> Res<String> {
    // `struct bpf_prog_info` up to and with its name, which begins at 64.
    let mut info = [0_u8; 80];
    let attributes = (program.as_raw_fd(), size_of_val(&info) as u32, Mut(&mut info).word() as u64);
    sys!(SYS_bpf, OBJ_GET_INFO_BY_FD, Ref(&attributes), size_of_val(&attributes))?;
    let name = info[64..].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Attaches a program to what it was loaded for: the link.
pub fn attach(program: &OwnedFd) -> Res<OwnedFd> {
    let attributes = (0_u64, program.as_raw_fd(), 0_u32);
    sys!(SYS_bpf, RAW_TRACEPOINT_OPEN, Ref(&attributes), size_of_val(&attributes)).map(owned)
}

/// Puts a descriptor in another's place (`dup3(2)`): what was there is closed.
pub fn put_in_place(what: &OwnedFd, place: i32) -> Res {
    sys!(SYS_dup3, what.as_raw_fd(), place, libc::O_CLOEXEC).map(drop)
}

/// The first program or map after an id.
pub fn next_id(maps: bool, after: u32) -> Res<u32> {
    let command = if maps { MAP_GET_NEXT_ID } else { PROG_GET_NEXT_ID };
    let mut attributes = [after, 0, 0];
    let size = size_of_val(&attributes);
    sys!(SYS_bpf, command, Mut(&mut attributes), size)?;
    Ok(attributes[1])
}

/// The map with an id.
pub fn map(id: u32) -> Res<OwnedFd> {
    let attributes = [id, 0, 0];
    sys!(SYS_bpf, MAP_GET_FD_BY_ID, Ref(&attributes), size_of_val(&attributes)).map(owned)
}

/// What is pinned at a path.
pub fn pinned(path: &Path) -> Res<OwnedFd> {
    let path = c_path(path);
    let attributes = (path.word() as u64, 0_u32, 0_u32);
    sys!(SYS_bpf, OBJ_GET, Ref(&attributes), size_of_val(&attributes)).map(owned)
}

/// Pins a map at a path.
pub fn pin(map: &OwnedFd, path: &Path) -> Res {
    const OBJ_PIN: i32 = 6;
    let path = c_path(path);
    let attributes = (path.word() as u64, map.as_raw_fd(), 0_u32);
    sys!(SYS_bpf, OBJ_PIN, Ref(&attributes), size_of_val(&attributes)).map(drop)
}

/// The map with this name, of which there must be one.
pub fn map_called(name: &str) -> Res<OwnedFd> {
    let (mut found, mut id) = (Vec::new(), 0);
    loop {
        id = match next_id(true, id) {
            Ok(next) => next,
            Err(Errno(libc::ENOENT)) => break,
            Err(other) => return Err(other),
        };
        // One that goes meanwhile is none of ours.
        let Ok(map) = map(id) else { continue };
        if map_name(&map)? == name {
            found.push(map);
        }
    }
    assert_eq!(found.len(), 1, "maps called {name}");
    Ok(found.remove(0))
}

/// A map's name, which the kernel cuts after 15 bytes.
fn map_name(map: &OwnedFd) -> Res<String> {
    // `struct bpf_map_info` up to and with its name, which begins at 24.
    let mut info = [0_u8; 40];
    let attributes = (map.as_raw_fd(), size_of_val(&info) as u32, Mut(&mut info).word() as u64);
    sys!(SYS_bpf, OBJ_GET_INFO_BY_FD, Ref(&attributes), size_of_val(&attributes))?;
    let name = info[24..].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The keys of a map whose keys are 64 bits.
pub fn keys(map: &OwnedFd) -> Res<Vec<u64>> {
    const MAP_GET_NEXT_KEY: i32 = 4;
    let mut found: Vec<u64> = Vec::new();
    loop {
        let (last, mut next) = (found.last().copied().unwrap_or(0), 0_u64);
        let from = if found.is_empty() { 0 } else { Ref(&last).word() };
        let attributes = [map.as_raw_fd() as u64, from as u64, Mut(&mut next).word() as u64];
        match sys!(SYS_bpf, MAP_GET_NEXT_KEY, Ref(&attributes), size_of_val(&attributes)) {
            Ok(_) => found.push(next),
            Err(Errno(libc::ENOENT)) => return Ok(found),
            Err(other) => return Err(other),
        }
    }
}
