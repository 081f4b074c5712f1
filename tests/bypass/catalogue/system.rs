//! 700s: the kernel's own controls.

use std::fs;
use std::path::PathBuf;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, Status, way};
use crate::support::sys::Res;
use crate::support::sys::files::open;
use crate::support::sys::process::make_map;
use crate::sys::{kernel, memory, process};

/// Whatever may be done with files: the kernel is no file.
const KERNEL: Attack = Attack { policy: VAULT, hook: NONE_YET, ..ATTACK };

/// The same where only root could.
const ROOT: Attack = Attack { control: Control::Root("takes a capability"), ..KERNEL };

pub const ROWS: &[Row] = &[
    Row::stopped(
        701,
        "`bpf(2)`: programs, maps, links",
        "No agent may use it",
        Attack {
            hook: Hook::BPF,
            right: Rights::KERNEL,
            about: |_| String::new(),
            ways: &[way("MAP_CREATE", |a| make_map().and_then(|()| got(a)))],
            ..ROOT
        },
    ),
    Row::open(
        702,
        "A kernel module",
        "To be asked of `kernel_read_file` and `kernel_load_data`, and a capability",
        Attack {
            happened: |arena| arena.looted() || loaded("dummy"),
            prepare: |arena| {
                if loaded("dummy") {
                    kernel::unload_module("dummy").unwrap();
                }
                module(arena);
                Box::new(())
            },
            ways: &[
                way("finit_module", |a| {
                    kernel::load_module(&open(a.at("open/dummy.ko"), libc::O_RDONLY)?)
                        .and_then(|()| got(a))
                }),
                way("init_module", |a| {
                    let image = fs::read(a.at("open/dummy.ko"))
                        .map_err(|error| crate::sys::errno_of(&error))?;
                    kernel::load_module_image(&image).and_then(|()| got(a))
                }),
                way("modprobe", |a| a.shell("modprobe dummy").and_then(|()| got(a))).tool(),
            ],
            ..ROOT
        },
    ),
    Row::open(
        703,
        "A kernel module removed",
        "To be a capability that an agent does not have",
        Attack {
            prepare: |arena| {
                if !loaded("dummy") {
                    let file = open(module(arena), libc::O_RDONLY).unwrap();
                    kernel::load_module(&file).unwrap();
                }
                Box::new(())
            },
            happened: |_| !loaded("dummy"),
            ways: &[way("delete_module", |_| kernel::unload_module("dummy"))],
            ..ROOT
        },
    ),
    Row::open(
        704,
        "Another kernel: `kexec`",
        "To be asked of `kernel_load_data`, and a capability",
        Attack {
            ways: &[way("kexec_load", |a| kernel::kexec_nothing().and_then(|()| got(a)))],
            ..ROOT
        },
    ),
    Row::open(
        705,
        "`perf_event_open`: counters and samples of others",
        "To be asked of `perf_event_open`",
        Attack {
            prepare: crate::victim::Victim::boxed,
            ways: &[
                way("of its own", |a| kernel::perf(0).and_then(|_| got(a))),
                way("of another", |a| kernel::perf(a.victim.get()).and_then(|_| got(a))),
            ],
            ..ROOT
        },
    ),
    Row::stopped(
        706,
        "Probes in kernel and programs: tracefs, debugfs",
        "They are files, which no rule allows to write",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            hook: Hook::FILE_OPEN,
            right: Rights::WRITE,
            about: |_| "/sys/kernel/tracing/uprobe_events".to_owned(),
            ways: &[way("uprobe_events", |a| {
                open("/sys/kernel/tracing/uprobe_events", libc::O_WRONLY).and_then(|_| got(a))
            })],
            ..ROOT
        },
    ),
    Row::open(
        707,
        "`io_uring`: operations that run elsewhere",
        "Its operations are judged (201, 601); to be refused as a whole at set-up",
        Attack {
            ways: &[way("io_uring_setup", |a| kernel::ring().and_then(|_| got(a)))],
            ..KERNEL
        },
    ),
    Row::open(
        708,
        "`userfaultfd`: system calls that can be stopped half way",
        "No verdict depends on memory that can be made to wait; to be refused all the same",
        Attack {
            control: Control::Root("unprivileged_userfaultfd is off, but for faults in user mode"),
            ways: &[way("userfaultfd", |a| memory::userfaultfd().and_then(|_| got(a)))],
            ..KERNEL
        },
    ),
    Row::open(
        711,
        "The clock set, so that what expires does not",
        "To be asked of `settime`; Picket counts from boot",
        Attack {
            ways: &[
                way("clock_settime", |a| kernel::set_clock().and_then(|()| got(a))),
                way("date", |a| a.shell("date -s \"$(date)\"").and_then(|()| got(a))).tool(),
            ],
            ..ROOT
        },
    ),
    Row::open(
        712,
        "The host's name",
        "To be a capability that an agent does not have",
        Attack {
            ways: &[way("sethostname", |a| {
                kernel::set_host_name("picket-guest").and_then(|()| got(a))
            })],
            ..ROOT
        },
    ),
    Row::open(
        713,
        "The kernel's log read or emptied",
        "To be asked of `syslog`",
        Attack {
            ways: &[
                way("read", |a| kernel::kernel_log().and_then(|_| got(a))),
                way("cleared", |a| kernel::clear_log().and_then(|()| got(a))),
                way("dmesg", |a| a.shell("dmesg -S >work/log").and_then(|()| got(a))).tool(),
            ],
            ..ROOT
        },
    ),
    Row::open(
        714,
        "A file that the kernel writes to: accounting",
        "To be capabilities that an agent does not have",
        Attack {
            happened: |arena| {
                let on = arena.looted();
                let _ = kernel::account_off();
                on
            },
            ways: &[way("acct", |a| kernel::account(&a.at("open/file")).and_then(|()| got(a)))],
            ..ROOT
        },
    ),
    Row::open(
        715,
        "The machine switched off",
        "To be a capability that an agent does not have",
        Attack {
            ways: &[way("reboot", |a| kernel::control_reboot().and_then(|()| got(a)))],
            ..ROOT
        },
    ),
    Row::open(
        716,
        "Ports of the machine: `iopl`, `ioperm`",
        "To be a capability that an agent does not have",
        Attack {
            ways: &[
                way("ioperm", |a| kernel::port_access().and_then(|()| got(a))),
                way("iopl", |a| kernel::port_level().and_then(|()| got(a))),
            ],
            ..ROOT
        },
    ),
    Row::open(
        717,
        "Everything that a capability of root's gives: files of other users read",
        "To be asked of `capable`: root inside is not root",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            prepare: |arena| {
                fs::set_permissions(
                    arena.secret(),
                    std::os::unix::fs::PermissionsExt::from_mode(0o600),
                )
                .unwrap();
                arena.note.set(1);
                Box::new(())
            },
            before: |arena| {
                // Not its own: without CAP_DAC_OVERRIDE nobody else may read it.
                crate::sys::files::chown(arena.secret(), 4, 4)
            },
            ways: &[way("CAP_DAC_OVERRIDE", |a| a.take_file(a.secret()))],
            control: Control::Root("it is about root's capabilities"),
            ..KERNEL
        },
    ),
    Row::open(
        718,
        "Another user become: `setuid`",
        "To be a capability that an agent does not have",
        Attack {
            ways: &[way("setresuid", |a| {
                crate::support::sys::process::become_user(4).and_then(|()| got(a))
            })],
            ..ROOT
        },
    ),
    Row::stopped(
        721,
        "The kernel's symbols and memory: `/proc/kcore`, `/proc/kallsyms`",
        "They are files; the base policy denies them",
        Attack {
            policy: super::CODING_AGENT,
            hook: Hook::FILE_OPEN,
            right: Rights::READ,
            ways: &[
                way("kallsyms", |a| open("/proc/kallsyms", libc::O_RDONLY).and_then(|_| got(a))),
                way("kmsg", |a| open("/proc/kmsg", libc::O_RDONLY).and_then(|_| got(a))),
                way("kcore", |a| open("/proc/kcore", libc::O_RDONLY).and_then(|_| got(a))),
            ],
            ..ROOT
        },
    ),
    Row::untried(
        722,
        "A flaw in the kernel itself",
        "-",
        Status::OutOfScope(
            "the fence is part of the kernel that it guards; it keeps what can be reached small",
        ),
        "none is known",
    ),
    Row::open(
        723,
        "The disk's quota, nice values below zero, real-time scheduling: resources of others",
        "To be capabilities that an agent does not have",
        Attack {
            ways: &[way("real time", |a| process::renice(0, -5).and_then(|()| got(a)))],
            ..ROOT
        },
    ),
    Row::tested(
        731,
        "Every system call there is, under an empty policy",
        "What nothing allows is denied",
        &[Hook::FILE_OPEN, Hook::PATH_UNLINK],
        crate::denyall::nothing_is_changed,
    ),
    Row::tested(
        732,
        "A refusal that programs do not take for one: they crash, hang, or try for ever",
        "One table of errnos: the ones that file permissions give",
        &[Hook::FILE_OPEN],
        crate::errnos::programs_fail_as_ever,
    ),
];

/// Unpacks a module that does nothing until it is used, and that every one of the kernels has, to where
/// everybody may read it.
fn module(arena: &Arena) -> PathBuf {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let packed = format!("/usr/lib/modules/{}/kernel/drivers/net/dummy.ko", release.trim());
    let to = arena.at("open/dummy.ko");
    if fs::exists(&packed).unwrap() {
        fs::copy(&packed, &to).unwrap();
    } else {
        let unpack = format!(
            "python3 -SEc 'import lzma; open(\"open/dummy.ko\", \"wb\").write(lzma.open(\"{packed}.xz\").read())'"
        );
        assert_eq!(arena.shell(&unpack), Ok(()), "{packed}.xz");
    }
    to
}

fn loaded(name: &str) -> bool {
    fs::exists(format!("/sys/module/{name}/refcnt")).unwrap()
}

fn got(arena: &Arena) -> Res {
    arena.take(SECRET.as_bytes())
}
