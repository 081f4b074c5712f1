//! From what was seen to what it means, and the count of it. Pure.

use super::tidings::{Attempt, Violation};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Honest work that worked.
    Passed,
    /// Honest work that did not.
    Failed,
    /// It did not work, as it must not, and was reported.
    Blocked,
    /// It did not work, and the violation that should tell of it is not there.
    Unreported,
    /// It worked.
    LetThrough,
    /// It did not work free of Picket either, and so proves nothing.
    Void,
    /// It was not tried.
    Skipped,
}

impl Outcome {
    /// Judges an attempt with the violations that were reported meanwhile.
    #[must_use]
    pub fn of(attempt: &Attempt, violations: &[Violation]) -> Outcome {
        let reported = attempt
            .expected
            .as_ref()
            .is_some_and(|expected| violations.iter().any(|violation| expected.is(violation)));
        match attempt {
            Attempt { skipped: Some(_), .. } => Outcome::Skipped,
            Attempt { honest: true, worked, .. } if *worked => Outcome::Passed,
            Attempt { honest: true, .. } => Outcome::Failed,
            Attempt { worked: true, .. } => Outcome::LetThrough,
            Attempt { control: Some(true), .. } if reported => Outcome::Blocked,
            Attempt { control: Some(true), .. } => Outcome::Unreported,
            _ => Outcome::Void,
        }
    }
}

/// Outcomes, counted by group in the order of their appearance.
#[derive(Debug, Default)]
pub struct Score {
    groups: Vec<Group>,
    may_skip: bool,
    /// Events that Picket could not keep.
    pub lost: u64,
    /// Processes of the agent that ran on after the end.
    pub still: usize,
    /// Processes that the agent left behind, which must be some for `still` to mean anything.
    pub left: usize,
}

/// One group's outcomes.
#[derive(Debug)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// Whether it ought to work.
    pub honest: bool,
    outcomes: Vec<Outcome>,
}

impl Group {
    /// How many there were of one outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.iter().filter(|seen| **seen == outcome).count()
    }

    /// How many were tried.
    #[must_use]
    pub fn attempted(&self) -> usize {
        self.outcomes.len() - self.count(Outcome::Skipped)
    }
}

impl Score {
    /// Nothing yet; whether it is as good where something could not be tried.
    #[must_use]
    pub fn new(may_skip: bool) -> Score {
        Score { may_skip, ..Score::default() }
    }

    /// Counts one.
    pub fn add(&mut self, attempt: &Attempt, outcome: Outcome) {
        if self.groups.last().is_none_or(|group| group.name != attempt.group) {
            let (name, honest) = (attempt.group.clone(), attempt.honest);
            self.groups.push(Group { name, honest, outcomes: Vec::new() });
        }
        if let Some(group) = self.groups.last_mut() {
            group.outcomes.push(outcome);
        }
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many there were of one outcome in all groups.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.groups.iter().map(|group| group.count(outcome)).sum()
    }

    /// How many could not be tried.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.count(Outcome::Skipped)
    }

    /// Whether everything was as it must be, and there was something of everything.
    #[must_use]
    pub fn good(&self) -> bool {
        use Outcome::{Blocked, Failed, LetThrough, Passed, Unreported, Void};
        let bad = [Failed, LetThrough, Unreported, Void].map(|outcome| self.count(outcome));
        bad == [0; 4]
            && self.count(Passed) > 0
            && self.count(Blocked) > 0
            && self.lost == 0
            && self.left > 0
            && self.still == 0
            && (self.may_skip || self.skipped() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(json: &str) -> Attempt {
        serde_json::from_str(json).unwrap()
    }

    fn violation(json: &str) -> Violation {
        serde_json::from_str(json).unwrap()
    }

    fn astray(control: bool, worked: bool) -> Attempt {
        attempt(&format!(
            r#"{{"group": "secrets", "says": "cat key", "honest": false, "control": {control},
                "worked": {worked}, "expected": {{"rights": ["read"], "subject": "/key"}}}}"#
        ))
    }

    const REPORT: &str = r#"{"verdict": "deny", "op": "file_open", "because": ["read"], "subject": "/key", "lost": 0}"#;

    #[test]
    fn only_what_works_without_the_fence_counts_as_blocked_by_it() {
        let report = [violation(REPORT)];
        assert_eq!(Outcome::of(&astray(true, false), &report), Outcome::Blocked);
        assert_eq!(Outcome::of(&astray(false, false), &report), Outcome::Void);
        assert_eq!(Outcome::of(&astray(true, true), &report), Outcome::LetThrough);
        assert_eq!(Outcome::of(&astray(false, true), &report), Outcome::LetThrough);
    }

    #[test]
    fn a_block_needs_the_violation_that_tells_of_it() {
        let other = |from: &str, to: &str| [violation(&REPORT.replace(from, to))];
        let blocked = astray(true, false);
        assert_eq!(Outcome::of(&blocked, &[]), Outcome::Unreported);
        assert_eq!(Outcome::of(&blocked, &other("/key", "/other")), Outcome::Unreported);
        assert_eq!(Outcome::of(&blocked, &other("\"read\"", "\"write\"")), Outcome::Unreported);
        assert_eq!(Outcome::of(&blocked, &other("deny", "audit")), Outcome::Unreported);
        let peer = other("\"subject\": \"/key\"", "\"subject\": \"/f\", \"peer\": \"/key\"");
        assert_eq!(Outcome::of(&blocked, &peer), Outcome::Blocked);
    }

    #[test]
    fn one_fault_spoils_the_score() {
        let honest = attempt(r#"{"group": "work", "says": "ls", "honest": true, "worked": true}"#);
        let good = || {
            let mut score = Score { left: 1, ..Score::default() };
            score.add(&honest, Outcome::Passed);
            score.add(&astray(true, false), Outcome::Blocked);
            score
        };
        assert!(good().good());
        for bad in [Outcome::Failed, Outcome::LetThrough, Outcome::Unreported, Outcome::Void] {
            let mut score = good();
            score.add(&astray(true, false), bad);
            assert!(!score.good(), "{bad:?}");
        }
        assert!(!Score { lost: 1, ..good() }.good());
        assert!(!Score { still: 1, ..good() }.good());
        assert!(!Score { left: 0, ..good() }.good());
        assert!(!Score { left: 1, ..Score::default() }.good());
        for may_skip in [false, true] {
            let mut score = Score { may_skip, ..good() };
            score.add(&astray(true, false), Outcome::Skipped);
            assert_eq!(score.good(), may_skip);
        }
    }
}
