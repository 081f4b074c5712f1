//! Reads the guest kernel's console: panics, warnings, and what it said last.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::programs;

/// What the kernel prints when something is wrong with it, wherever in the line. Sources:
/// `__warn` in kernel/panic.c, `die` in arch/x86/kernel/dumpstack.c, kernel/rcu/tree_stall.h,
/// kernel/hung_task.c, kernel/watchdog.c, lib/dump_stack.c's callers.
const COMPLAINTS: [&str; 14] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "Kernel panic",
    "general protection fault",
    "unable to handle",
    "INFO: rcu",
    "self-detected stall",
    "detected stalls on",
    "blocked for more than",
    "UBSAN:",
    "KASAN:",
    "suspicious RCU usage",
    "Out of memory: Killed process",
];

/// Begins what our own first process says there, which may quote a command that has such words.
pub const GUEST: &str = "picket-guest:";

/// How much of a console an error repeats.
const LAST_LINES: usize = 15;

/// How much more of it, where the kernel complained: the dump begins with what matters most.
const DUMP_LINES: usize = 80;

/// The file that a machine's console goes to: `target/vm/KERNEL.log`, or with a number where
/// another machine writes to that one.
#[derive(Debug)]
pub struct ConsoleFile {
    /// Where it is.
    pub path: PathBuf,
    _locked: File,
}

impl ConsoleFile {
    /// Takes the first file that nobody has, empty.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub fn take(kernel: &str) -> Result<Self> {
        let dir = programs::target_dir().join("vm");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for number in 1..100 {
            let name = if number == 1 { String::new() } else { format!("-{number}") };
            let path = dir.join(format!("{kernel}{name}.log"));
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            match file.try_lock() {
                // What the last machine left must not be taken for this one's.
                Ok(()) => {
                    file.set_len(0)?;
                    return Ok(Self { path, _locked: file });
                }
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        bail!("a hundred machines write to {} already", dir.display())
    }
}

/// What a console log says.
#[derive(Debug)]
pub struct Console {
    lines: Vec<String>,
}

impl Console {
    /// Reads a log; one that is not there (the machine never started) is empty.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::parse(&fs::read(path).unwrap_or_default())
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        Self { lines: text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect() }
    }

    /// Why the kernel panicked, where it did.
    #[must_use]
    pub fn panic(&self) -> Option<&str> {
        // The line at the end of a dump repeats the reason in brackets; the first is the event.
        self.lines
            .iter()
            .find(|line| line.contains("Kernel panic - not syncing"))
            .map(String::as_str)
    }

    /// The lines in which the kernel says that something is wrong with it.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lines.iter().filter(|line| complains(line)).cloned().collect()
    }

    /// The last lines, indented, for the end of a message; from the first complaint on, where there is one
    /// and the dump is not too long.
    #[must_use]
    pub fn tail(&self) -> String {
        if self.lines.is_empty() {
            return "    (nothing)".to_owned();
        }
        let all = self.lines.len();
        let complaint = self.lines.iter().position(|line| complains(line)).unwrap_or(all);
        let from = complaint.max(all.saturating_sub(DUMP_LINES));
        let from = from.min(all.saturating_sub(LAST_LINES));
        self.lines[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    }
}

/// Whether a line is the kernel's, and says that something is wrong with it.
fn complains(line: &str) -> bool {
    !line.starts_with(GUEST) && COMPLAINTS.iter().any(|complaint| line.contains(complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_as_the_kernel_words_them() {
        let log = "\
[    0.1] Linux version 6.12\r
[    3.0] WARNING: CPU: 1 PID: 77 at kernel/bpf/verifier.c:1 check+0x1/0x2\r
[    4.0] BUG: kernel NULL pointer dereference, address: 0000000000000000\r
[    4.1] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI\r
[    5.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\r
[    6.0] INFO: task cat:81 blocked for more than 120 seconds.\r
[    7.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:1]\r
[    8.0] BUG kmalloc-64 (Not tainted): something\r
";
        let complaints = Console::parse(log.as_bytes()).complaints();
        assert_eq!(complaints.len(), 6, "{complaints:#?}");
        assert!(complaints.iter().all(|line| !line.ends_with('\r')));
    }

    #[test]
    fn an_ordinary_boot_has_none() {
        let log = "[    0.1] x86/mm: Checked W+X mappings: passed, no W+X pages found.\n\
            picket-guest: running [\"echo\", \"WARNING:\"]\n\
            [    0.2] Warning: unmaskable\n[    0.3] debug: off\n[    0.4] Run /init as init process\n";
        let console = Console::parse(log.as_bytes());
        assert_eq!(console.complaints(), Vec::<String>::new());
        assert_eq!(console.panic(), None);
        assert!(console.tail().starts_with("    [    0.1]"));
    }

    #[test]
    fn a_panic_tells_its_reason() {
        let log = "x\n[    9.0] Kernel panic - not syncing: sysrq triggered crash\n[    9.1] Call Trace:\n\
            [    9.9] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\n";
        let console = Console::parse(log.as_bytes());
        assert_eq!(
            console.panic(),
            Some("[    9.0] Kernel panic - not syncing: sysrq triggered crash")
        );
    }

    #[test]
    fn the_end_begins_with_the_complaint() {
        let lines = |what: &str, count: usize| -> String {
            (0..count).map(|n| format!("[    1.{n:03}] {what} {n}\n")).collect()
        };
        let (boot, dump) = (lines("boot", 40), lines("dump", 30));
        let calm = Console::parse(boot.as_bytes()).tail();
        assert_eq!(calm.lines().count(), LAST_LINES);
        let oops =
            Console::parse(format!("{boot}[    2.0] Oops: int3: 0000\n{dump}").as_bytes()).tail();
        assert!(oops.starts_with("    [    2.0] Oops: int3"), "{oops}");
        assert_eq!(oops.lines().count(), 31);
        let long =
            Console::parse(format!("{boot}[    2.0] Oops\n{}", dump.repeat(4)).as_bytes()).tail();
        assert_eq!(long.lines().count(), DUMP_LINES);
    }
}
