//! Whether the processor can run guests. The device's being there does not say so: nested or
//! restricted KVM often cannot run a stock kernel. Only a boot tells, once for each start of the
//! host.

use std::{fs, path::Path, time::Duration};

use super::{machine::Machine, qemu::Accel};
use crate::setup::{cache::Cache, kernels::Kernel};

const DEVICE: &str = "/dev/kvm";

/// The answer's file in the cache: the host's boot id and the answer.
const ANSWER: &str = "kvm-probe";

/// KVM where a machine boots with it, else emulation.
#[must_use]
pub fn choose(cache: &Cache, kernel: Kernel) -> Accel {
    if fs::File::options().read(true).write(true).open(DEVICE).is_err() {
        return Accel::Tcg;
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let file = cache.path(ANSWER);
    if let Some(known) = known(&file, boot_id.trim()) {
        return known;
    }
    let probe =
        Machine::new(kernel).accel(Accel::Kvm).timeout(Duration::from_secs(30)).output(["true"]);
    let works = probe.is_ok_and(|output| output.outcome.code == 0);
    if !works {
        eprintln!(
            "vm: {DEVICE} is there but does not run guests; emulating (asked once a boot of this machine)"
        );
    }
    // Not being able to remember it costs another probe, nothing else.
    let _ = fs::write(file, format!("{} {works}\n", boot_id.trim()));
    if works { Accel::Kvm } else { Accel::Tcg }
}

fn known(file: &Path, boot_id: &str) -> Option<Accel> {
    let text = fs::read_to_string(file).ok()?;
    match text.trim().split_once(' ')? {
        (id, "true") if id == boot_id => Some(Accel::Kvm),
        (id, "false") if id == boot_id => Some(Accel::Tcg),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_one_boot_of_the_host() {
        let file = std::env::temp_dir().join(format!("picket-kvm-test-{}", std::process::id()));
        fs::write(&file, "one false\n").unwrap();
        assert_eq!(known(&file, "one"), Some(Accel::Tcg));
        assert_eq!(known(&file, "two"), None);
        fs::write(&file, "two true\n").unwrap();
        assert_eq!(known(&file, "two"), Some(Accel::Kvm));
        fs::remove_file(&file).unwrap();
        assert_eq!(known(&file, "two"), None);
    }
}
