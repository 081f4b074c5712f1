//! Sizes that both halves must agree on, each with the reason for its value.

/// Longest subject in bytes. A path may have 4095 bytes (`PATH_MAX` less the NUL), and nothing
/// longer can be named by a system call either; a longer canonical path is a fault.
pub const SUBJECT_MAX: usize = 4095;

/// Room that a subject is built in: a power of two, so that an index is bounded by one mask.
pub const SUBJECT_ROOM: usize = 4096;

/// Longest file name in bytes (`NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// Most components plus mount crossings that the path walker goes up; beyond it is a fault.
/// Deep trees of real projects stay under 40, and the loop's cost is only paid when walked.
pub const WALK_MAX: u32 = 256;

/// Most mounts of one file system, in all namespaces of the machine, that are looked through for the
/// names of a file; beyond it is a fault. A host has about one for each sandboxed service and
/// container, and looking at one takes two loads.
pub const MOUNTS_MAX: u32 = 1 << 14;

/// Longest subject of the object space: an abstract socket name (107 bytes) and its kind byte.
pub const OBJECT_MAX: usize = 112;

/// Bytes of one policy table. 4 MiB is the largest array-map value that every supported
/// kernel takes (`KMALLOC_MAX_SIZE` bounds what userspace may copy in one update).
pub const TABLE_BYTES: usize = 1 << 22;

/// 16-bit cells in one policy table.
pub const TABLE_CELLS: usize = TABLE_BYTES / 2;

/// Agents that may exist at once.
pub const AGENTS_MAX: u32 = 1024;

/// System V objects that agents may have at once, all together: twice what one namespace has of shared
/// memory segments by default (`SHMMNI`). A further one cannot be made.
pub const IPC_MAX: u32 = 8192;

/// Policies that may be loaded at once.
pub const POLICIES_MAX: u32 = 64;

/// Bytes of the event ring. A power of two and a multiple of the page size, as the ring demands.
pub const RING_BYTES: u32 = 1 << 20;

/// Room for subjects in a short event record; taken when both together need less than half of
/// it, which lets each be bounded by one mask.
pub const EVENT_SHORT: usize = 512;

/// Room for subjects in a long event record: two whole ones.
pub const EVENT_LONG: usize = 2 * SUBJECT_ROOM;
