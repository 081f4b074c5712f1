//! Capabilities (`capabilities(7)`, `include/uapi/linux/capability.h`), by their numbers.

/// A capability, numbered as the kernel does.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Capability(pub u8);

macro_rules! capabilities {
    ($($name:ident = $id:literal, $text:literal;)*) => {
        impl Capability {
            $(
                #[doc = concat!("`CAP_", stringify!($name), "`.")]
                pub const $name: Capability = Capability($id);
            )*

            /// Every capability with its name in policies and events: the kernel's, in small letters
            /// and without `CAP_`.
            pub const ALL: &'static [(Capability, &'static str)] =
                &[$((Capability::$name, $text)),*];
        }
    };
}

capabilities! {
    CHOWN = 0, "chown";
    DAC_OVERRIDE = 1, "dac_override";
    DAC_READ_SEARCH = 2, "dac_read_search";
    FOWNER = 3, "fowner";
    FSETID = 4, "fsetid";
    KILL = 5, "kill";
    SETGID = 6, "setgid";
    SETUID = 7, "setuid";
    SETPCAP = 8, "setpcap";
    LINUX_IMMUTABLE = 9, "linux_immutable";
    NET_BIND_SERVICE = 10, "net_bind_service";
    NET_BROADCAST = 11, "net_broadcast";
    NET_ADMIN = 12, "net_admin";
    NET_RAW = 13, "net_raw";
    IPC_LOCK = 14, "ipc_lock";
    IPC_OWNER = 15, "ipc_owner";
    SYS_MODULE = 16, "sys_module";
    SYS_RAWIO = 17, "sys_rawio";
    SYS_CHROOT = 18, "sys_chroot";
    SYS_PTRACE = 19, "sys_ptrace";
    SYS_PACCT = 20, "sys_pacct";
    SYS_ADMIN = 21, "sys_admin";
    SYS_BOOT = 22, "sys_boot";
    SYS_NICE = 23, "sys_nice";
    SYS_RESOURCE = 24, "sys_resource";
    SYS_TIME = 25, "sys_time";
    SYS_TTY_CONFIG = 26, "sys_tty_config";
    MKNOD = 27, "mknod";
    LEASE = 28, "lease";
    AUDIT_WRITE = 29, "audit_write";
    AUDIT_CONTROL = 30, "audit_control";
    SETFCAP = 31, "setfcap";
    MAC_OVERRIDE = 32, "mac_override";
    MAC_ADMIN = 33, "mac_admin";
    SYSLOG = 34, "syslog";
    WAKE_ALARM = 35, "wake_alarm";
    BLOCK_SUSPEND = 36, "block_suspend";
    AUDIT_READ = 37, "audit_read";
    PERFMON = 38, "perfmon";
    BPF = 39, "bpf";
    CHECKPOINT_RESTORE = 40, "checkpoint_restore";
}

impl Capability {
    /// Its name; `None` for one that is younger than this version.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let found = Self::ALL.iter().find(|(capability, _)| *capability == self)?;
        Some(found.1)
    }

    /// The capability that policies and events call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Capability> {
        let found = Self::ALL.iter().find(|(_, text)| *text == name)?;
        Some(found.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_without_a_gap_and_names_lead_back_to_them() {
        for (at, (capability, name)) in Capability::ALL.iter().enumerate() {
            assert_eq!(usize::from(capability.0), at);
            assert_eq!(Capability::from_name(name), Some(*capability));
            assert_eq!(capability.name(), Some(*name));
        }
        assert_eq!((Capability(63).name(), Capability::from_name("CAP_KILL")), (None, None));
    }
}
