//! The verdict: set inclusion over the masks that a table gives a subject. Pure, and the only
//! place where allow, ask, deny, audit and the policy's mode meet.

use crate::rights::Rights;

/// What a policy says of one subject.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Masks {
    /// Rights that some allow or audit rule gives.
    pub allow: Rights,
    /// Rights that need somebody's yes.
    pub ask: Rights,
    /// Rights that some deny rule takes away.
    pub deny: Rights,
    /// Rights whose use is reported although it is allowed.
    pub audit: Rights,
}

impl Masks {
    /// Rights that may be used, asking aside.
    ///
    /// A file that may be read and not changed may also be mapped as code: a program starts only
    /// if its libraries can be mapped, and nobody can plant code where nobody may write. Where an
    /// agent may write, or may after asking, mapping code takes an explicit `map` (write xor
    /// execute); and what it must ask to read it must not get at by mapping.
    #[inline(always)]
    #[must_use]
    pub const fn granted(self) -> Rights {
        let allow = self.allow.minus(self.deny);
        let given = allow.or(self.ask.minus(self.deny));
        let readable = allow.minus(self.ask).contains(Rights::READ);
        let writable = given.intersects(Rights::WRITE.or(Rights::CREATE));
        if readable && !writable && !self.ask.contains(Rights::MAP) {
            allow.or(Rights::MAP.minus(self.deny))
        } else {
            allow
        }
    }

    /// Whether an object with these masks offers no way to its content that `old` did not offer,
    /// so that a rename or link from `old` to here gives nothing away.
    ///
    /// - What needs a yes counts as offered here and as not offered there: whoever says yes to one
    ///   name must not have said it to what had another.
    /// - What was reported there is reported here, or asked for: a name is no way around the record.
    #[inline(always)]
    #[must_use]
    pub const fn within(self, old: Masks) -> bool {
        self.offered_beyond(old, Rights::CONTENT).is_empty()
    }

    /// The rights for which [`Masks::within`] does not hold.
    #[must_use]
    pub const fn beyond(self, old: Masks) -> Rights {
        self.offered_beyond(old, Rights::CONTENT)
    }

    /// [`Masks::within`] for what is below a directory that moves: there every right counts, also
    /// those on names, because the directory takes its entries to where others may be made and
    /// removed. Of those a yes is a yes under either name: what they change is the name itself.
    ///
    /// This is what the relation between states (see [`crate::within`]) is worked out to imply.
    #[must_use]
    pub const fn below_within(self, old: Masks) -> bool {
        self.below_beyond(old).is_empty()
    }

    /// The rights for which [`Masks::below_within`] does not hold.
    #[must_use]
    pub const fn below_beyond(self, old: Masks) -> Rights {
        let free = self.granted().minus(self.ask).and(Rights::ENTRY);
        let any = self.granted().or(self.ask.minus(self.deny)).and(Rights::ENTRY);
        let old_free = old.granted().minus(old.ask);
        self.offered_beyond(old, Rights(u32::MAX).minus(Rights::ENTRY))
            .or(free.minus(old_free))
            .or(any.minus(old_free.or(old.ask.minus(old.deny))))
            .or(free.minus(self.audit).and(old.audit))
    }

    /// Of `rights`, those that are offered here and were not freely had as `old`, or were seen there
    /// and are not here.
    #[inline(always)]
    const fn offered_beyond(self, old: Masks, rights: Rights) -> Rights {
        let offered = self.granted().or(self.ask.minus(self.deny)).and(rights);
        let unseen = offered.minus(self.ask.or(self.audit));
        offered.minus(old.granted().minus(old.ask)).or(unseen.and(old.audit))
    }
}

/// The outcome for one operation, in growing severity.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Verdict {
    /// Goes on unseen.
    Allow = 0,
    /// Goes on and is reported.
    Audit = 1,
    /// Held until somebody decides.
    Ask = 2,
    /// Refused and reported.
    Deny = 3,
}

impl Verdict {
    /// The verdict with the number `raw`.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Verdict> {
        match raw {
            0 => Some(Verdict::Allow),
            1 => Some(Verdict::Audit),
            2 => Some(Verdict::Ask),
            3 => Some(Verdict::Deny),
            _ => None,
        }
    }

    /// Its name in events and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Audit => "audit",
            Verdict::Ask => "ask",
            Verdict::Deny => "deny",
        }
    }
}

/// A verdict and the rights that brought it about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// The requested rights that the policy refuses, asks for or reports; empty when allowed.
    pub because: Rights,
}

/// Judges `requested` against `masks`. In an auditing policy (`audit`) nothing is refused or
/// held: what would have been is reported.
#[inline(always)]
#[must_use]
pub const fn decide(masks: Masks, requested: Rights, audit: bool) -> Decision {
    let denied = requested.minus(masks.granted().or(masks.ask)).or(requested.and(masks.deny));
    let asked = requested.and(masks.ask).minus(masks.deny);
    let (verdict, because) = if !denied.is_empty() {
        (Verdict::Deny, denied)
    } else if !asked.is_empty() {
        (Verdict::Ask, asked)
    } else if requested.intersects(masks.audit) {
        (Verdict::Audit, requested.and(masks.audit))
    } else {
        (Verdict::Allow, Rights::NONE)
    };
    let softened = audit && matches!(verdict, Verdict::Deny | Verdict::Ask);
    Decision { verdict: if softened { Verdict::Audit } else { verdict }, because }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(allow: Rights, ask: Rights, deny: Rights, audit: Rights) -> Masks {
        Masks { allow, ask, deny, audit }
    }

    /// The precedence in words, right by right, as an oracle for the bit arithmetic.
    fn oracle(masks: Masks, requested: Rights) -> Verdict {
        let mut worst = Verdict::Allow;
        for (right, _) in Rights::NAMES.iter().filter(|(right, _)| requested.contains(*right)) {
            let verdict = if masks.deny.contains(*right) {
                Verdict::Deny
            } else if masks.ask.contains(*right) {
                Verdict::Ask
            } else if masks.audit.contains(*right) && masks.granted().contains(*right) {
                Verdict::Audit
            } else if masks.granted().contains(*right) {
                Verdict::Allow
            } else {
                Verdict::Deny
            };
            worst = worst.max(verdict);
        }
        worst
    }

    #[test]
    fn deny_beats_ask_beats_audit_beats_allow() {
        // Two rights, every combination of their four masks, every request.
        for bits in 0..256_u32 {
            let mask = |shift: u32| Rights((bits >> shift) & 3);
            let audit = mask(6);
            let masks = masks(mask(0).or(audit), mask(2), mask(4), audit);
            for requested in 1..4 {
                let decision = decide(masks, Rights(requested), false);
                assert_eq!(decision.verdict, oracle(masks, Rights(requested)), "{masks:?}");
                assert_eq!(decision.because.is_empty(), decision.verdict == Verdict::Allow);
                assert!(Rights(requested).contains(decision.because));
            }
        }
    }

    #[test]
    fn nothing_allows_means_denied() {
        let decision = decide(Masks::default(), Rights::READ, false);
        assert_eq!(decision, Decision { verdict: Verdict::Deny, because: Rights::READ });
    }

    #[test]
    fn audit_mode_refuses_nothing_and_reports_everything() {
        let decision = decide(Masks::default(), Rights::READ | Rights::WRITE, true);
        assert_eq!(decision.verdict, Verdict::Audit);
        assert_eq!(decision.because, Rights::READ | Rights::WRITE);
    }

    #[test]
    fn reading_implies_mapping_only_where_nothing_can_be_written() {
        let read = masks(Rights::READ, Rights::NONE, Rights::NONE, Rights::NONE);
        assert!(read.granted().contains(Rights::MAP));
        let rw = masks(Rights::READ | Rights::WRITE, Rights::NONE, Rights::NONE, Rights::NONE);
        assert!(!rw.granted().contains(Rights::MAP));
        let guarded = Masks { deny: Rights::WRITE, ..rw };
        assert!(guarded.granted().contains(Rights::MAP));
        let denied = Masks { deny: Rights::MAP, ..read };
        assert!(!denied.granted().contains(Rights::MAP));
        for asked in [Rights::READ, Rights::WRITE, Rights::MAP] {
            let ask = Masks { ask: asked, ..read };
            assert!(!ask.granted().contains(Rights::MAP), "{asked:?}");
        }
    }

    #[test]
    fn a_name_may_only_be_traded_for_one_that_offers_no_more() {
        let rw = masks(Rights::READ | Rights::WRITE, Rights::NONE, Rights::NONE, Rights::NONE);
        let write = masks(Rights::WRITE, Rights::NONE, Rights::NONE, Rights::NONE);
        let secret = masks(Rights::NONE, Rights::NONE, Rights::READ, Rights::NONE);
        let ask = masks(Rights::READ, Rights::READ, Rights::NONE, Rights::NONE);
        let read = masks(Rights::READ, Rights::NONE, Rights::NONE, Rights::NONE);
        assert!(rw.within(rw) && write.within(rw) && secret.within(rw));
        assert!(!rw.within(secret) && !rw.within(write));
        assert!(
            !read.within(ask) && ask.within(Masks { allow: Rights::READ | Rights::MAP, ..read })
        );
        // Read-only files may be mapped, so a writable one may not become one.
        assert!(!read.within(rw));
    }

    #[test]
    fn what_is_reported_stays_reported() {
        let read = masks(Rights::READ | Rights::MAP, Rights::NONE, Rights::NONE, Rights::NONE);
        let seen = Masks { audit: Rights::READ, ..read };
        let asked = Masks { allow: Rights::MAP, ask: Rights::READ, ..read };
        assert!(!read.within(seen) && seen.within(read) && seen.within(seen) && asked.within(seen));
        assert!(Masks::default().within(seen));
    }

    #[test]
    fn below_a_directory_every_right_counts() {
        let read = masks(Rights::READ | Rights::MAP, Rights::NONE, Rights::NONE, Rights::NONE);
        let more = Masks { allow: Rights::READ | Rights::MAP | Rights::DELETE, ..read };
        let asked = Masks { ask: Rights::DELETE, ..read };
        assert!(more.within(read) && !more.below_within(read) && read.below_within(more));
        assert!(asked.below_within(asked) && asked.below_within(more) && !more.below_within(asked));
        let seen = Masks { audit: Rights::DELETE, ..more };
        assert!(!more.below_within(seen) && seen.below_within(more) && asked.below_within(seen));
        let content = Masks { ask: Rights::READ, ..read };
        assert!(!content.below_within(content));
    }
}
