//! 700s: the kernel's own controls.

use std::fs;
use std::path::PathBuf;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::{NOT_ROOT, VAULT};
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, Row, Status, way};
use crate::support::place;
use crate::support::sys::files::{mknod, open};
use crate::support::sys::kernel::Setting;
use crate::support::sys::process::make_map;
use crate::support::sys::{Errno, Res, ring};
use crate::sys::{kernel, memory, process};

/// Whatever may be done with files, and by whatever capability: no policy gives the kernel.
const KERNEL: Attack = Attack { policy: VAULT, right: Rights::KERNEL, ..ATTACK };

/// The same where only root could.
const ROOT: Attack = Attack { control: Control::Root("takes a capability"), ..KERNEL };

/// What has no hook of its own.
const CAPABILITY: Attack = Attack { policy: NOT_ROOT, hook: Hook::CAPABLE, ..ROOT };

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
    Row::stopped(
        702,
        "A kernel module",
        "No agent may load one",
        Attack {
            hook: Hook::KERNEL_READ_FILE,
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
                })
                .by(Hook::KERNEL_LOAD_DATA, Rights::KERNEL),
                way("insmod", |a| a.shell("insmod open/dummy.ko").and_then(|()| got(a))).tool(),
            ],
            ..ROOT
        },
    ),
    Row::stopped(
        703,
        "A kernel module removed",
        "A capability that an agent does not have",
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
            ..CAPABILITY
        },
    ),
    Row::stopped(
        704,
        "Another kernel: `kexec`",
        "No agent may load one",
        Attack {
            hook: Hook::KERNEL_LOAD_DATA,
            ways: &[way("kexec_load", |a| kernel::kexec_nothing().and_then(|()| got(a)))],
            ..ROOT
        },
    ),
    Row::stopped(
        705,
        "`perf_event_open`: counters and samples of others",
        "No agent may use it",
        Attack {
            hook: Hook::PERF_EVENT_OPEN,
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
    Row::stopped(
        707,
        "`io_uring`: operations that run elsewhere",
        "No agent may make one; the operations of one from before are judged as all others (201, 601, 710)",
        Attack {
            hook: Hook::URING_ALLOWED,
            ways: &[way("io_uring_setup", |a| kernel::ring().and_then(|_| got(a)))
                .before(Hook::INODE_INIT_SECURITY_ANON)],
            ..KERNEL
        },
    ),
    Row::stopped(
        708,
        "`userfaultfd`: system calls that can be stopped half way",
        "No agent may use it; and no verdict depends on memory that can be made to wait",
        Attack {
            hook: Hook::INODE_INIT_SECURITY_ANON,
            control: Control::Root("unprivileged_userfaultfd is off, but for faults in user mode"),
            ways: &[way("userfaultfd", |a| memory::userfaultfd().and_then(|_| got(a)))],
            ..KERNEL
        },
    ),
    Row::stopped(
        709,
        "A module that the kernel would load because of what the agent does",
        "The kernel goes on as if there were none",
        Attack {
            policy: DEVICE,
            hook: Hook::KERNEL_MODULE_REQUEST,
            prepare: |arena| {
                let device = arena.at("open/device");
                mknod(&device, libc::S_IFCHR | 0o600, NO_DRIVER << 8).unwrap();
                let script = format!("#!/bin/sh\n: > {}\n", arena.text("work/ran"));
                let program = place::program(&arena.at("open"), "modprobe", script.as_bytes());
                Box::new(Setting::set("/proc/sys/kernel/modprobe", program.to_str().unwrap()))
            },
            happened: Arena::ran,
            ways: &[way("a device without a driver", |a| {
                // That there is no driver is known; what counts is whether one was looked for.
                let opened = open(a.at("open/device"), libc::O_RDONLY).map(drop);
                assert_eq!(opened, Err(Errno(libc::ENXIO)));
                if a.ran() { Ok(()) } else { Err(Errno(libc::EPERM)) }
            })],
            ..KERNEL
        },
    ),
    Row::stopped(
        710,
        "What is special to a ring from before the tag: kept credentials, commands of devices",
        "Both are refused, whatever they are",
        Attack {
            hook: Hook::URING_CMD,
            before: |_| ring::nothing(false),
            ways: &[
                way("IORING_OP_URING_CMD", |a| ring::command().and_then(|()| got(a))),
                way("IORING_REGISTER_PERSONALITY", |a| ring::nothing(true).and_then(|()| got(a)))
                    .by(Hook::URING_OVERRIDE_CREDS, Rights::KERNEL),
            ],
            ..KERNEL
        },
    ),
    Row::stopped(
        711,
        "The clock set, so that what expires does not",
        "A capability that an agent does not have; Picket counts from boot",
        Attack {
            ways: &[
                way("clock_settime", |a| kernel::set_clock().and_then(|()| got(a))),
                way("date", |a| a.shell("date -s \"$(date)\"").and_then(|()| got(a))).tool(),
            ],
            ..CAPABILITY
        },
    ),
    Row::stopped(
        712,
        "The host's name",
        "A capability that an agent does not have",
        Attack {
            ways: &[way("sethostname", |a| {
                kernel::set_host_name("picket-guest").and_then(|()| got(a))
            })],
            ..CAPABILITY
        },
    ),
    Row::stopped(
        713,
        "The kernel's log read or emptied",
        "A capability that an agent does not have, also where everybody may read it",
        Attack {
            hook: Hook::SYSLOG,
            prepare: |_| Box::new(Setting::set("/proc/sys/kernel/dmesg_restrict", "0")),
            ways: &[
                way("read", |a| kernel::kernel_log().and_then(|_| got(a))),
                way("cleared", |a| kernel::clear_log().and_then(|()| got(a)))
                    .by(Hook::CAPABLE, Rights::KERNEL),
                way("dmesg", |a| a.shell("dmesg -S >work/log").and_then(|()| got(a))).tool(),
            ],
            ..CAPABILITY
        },
    ),
    Row::stopped(
        714,
        "A file that the kernel writes to: accounting",
        "A capability that an agent does not have",
        Attack {
            happened: |arena| {
                let on = arena.looted();
                let _ = kernel::account_off();
                on
            },
            ways: &[way("acct", |a| kernel::account(&a.at("open/file")).and_then(|()| got(a)))],
            ..CAPABILITY
        },
    ),
    Row::stopped(
        715,
        "The machine switched off",
        "A capability that an agent does not have",
        Attack {
            ways: &[way("reboot", |a| kernel::control_reboot().and_then(|()| got(a)))],
            ..CAPABILITY
        },
    ),
    Row::stopped(
        716,
        "Ports of the machine: `iopl`, `ioperm`",
        "To an agent the kernel is locked down",
        Attack {
            hook: Hook::LOCKED_DOWN,
            ways: &[
                way("ioperm", |a| kernel::port_access().and_then(|()| got(a))),
                way("iopl", |a| kernel::port_level().and_then(|()| got(a))),
            ],
            ..ROOT
        },
    ),
    Row::stopped(
        717,
        "Files of other users read by root, which rules on files allow and a rule on capabilities denies",
        "Root inside is not root: what is left to it are the capabilities that files need, and these can be denied",
        Attack {
            policy: NO_OVERRIDE,
            hook: Hook::CAPABLE,
            prepare: |arena| {
                fs::set_permissions(
                    arena.secret(),
                    std::os::unix::fs::PermissionsExt::from_mode(0o600),
                )
                .unwrap();
                Box::new(())
            },
            // Not its own: without CAP_DAC_OVERRIDE nobody else may read it.
            before: |arena| match arena.uid {
                0 => crate::sys::files::chown(arena.secret(), 4, 4),
                _ => crate::sys::files::chmod(arena.secret(), 0),
            },
            ways: &[way("CAP_DAC_OVERRIDE", |a| a.take_file(a.secret())).errno(libc::EACCES)],
            control: Control::Root("it is about root's capabilities"),
            ..KERNEL
        },
    ),
    Row::stopped(
        718,
        "Another user become: `setuid`",
        "A capability that an agent does not have",
        Attack {
            ways: &[way("setresuid", |a| {
                crate::support::sys::process::become_user(4).and_then(|()| got(a))
            })],
            ..CAPABILITY
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
    Row::stopped(
        723,
        "The disk's quota, nice values below zero, real-time scheduling: resources of others",
        "Capabilities that an agent does not have",
        Attack {
            ways: &[way("a better nice value", |a| process::renice(0, -5).and_then(|()| got(a)))
                .errno(libc::EACCES)],
            ..CAPABILITY
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

/// A device may be used that has no driver.
const DEVICE: &str = "\
files:
  - allow: [read, list, write, create]
    paths: ['/**']
exec:
  - allow: ['/**']
devices:
  - allow: ['${dir}/open/device']
capabilities:
  - allow: [all]";

/// A number that no driver has (`admin-guide/devices.txt`: local use).
const NO_DRIVER: u64 = 60;

/// Root is to read only what is its own.
const NO_OVERRIDE: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - deny: [dac_override]";

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
