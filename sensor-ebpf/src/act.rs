//! Acts: what one process may do to another across the fence.

/// A way to act on another process.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Act(pub u8);

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $text:literal;)*) => {
        impl Act {
            $($(#[$doc])* pub const $name: Act = Act($id);)*

            /// Every act with its name in policies and events.
            pub const ALL: &'static [(Act, &'static str)] = &[$((Act::$name, $text)),*];
        }
    };
}

acts! {
    /// Send it a signal (`kill(2)` and its like).
    SIGNAL = 1, "signal";
    /// Look into it: what needs `PTRACE_MODE_READ` (`/proc/PID/environ`, `maps`, `fd`, `kcmp(2)`).
    INSPECT = 2, "inspect";
    /// Take hold of it: what needs `PTRACE_MODE_ATTACH` (`ptrace(2)`, `process_vm_writev(2)`,
    /// `/proc/PID/mem`, `pidfd_getfd(2)`), and being traced by it.
    TRACE = 3, "trace";
    /// Change its priority, scheduler, processors or place in memory.
    SCHEDULE = 4, "schedule";
    /// Change its resource limits (`prlimit(2)`).
    LIMIT = 5, "limit";
}

impl Act {
    /// Its name.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let found = Self::ALL.iter().find(|(act, _)| *act == self)?;
        Some(found.1)
    }

    /// The act that policies and events call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Act> {
        let found = Self::ALL.iter().find(|(_, text)| *text == name)?;
        Some(found.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_has_one_name_and_comes_back_from_it() {
        for (act, name) in Act::ALL {
            assert_eq!(Act::from_name(name), Some(*act));
            assert_eq!(act.name(), Some(*name));
            assert_eq!(Act::ALL.iter().filter(|(other, _)| other == act).count(), 1);
        }
    }
}
