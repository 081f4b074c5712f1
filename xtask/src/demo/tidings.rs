//! What the stage tells, one JSON object a line; see `tests/demo/stage.py`.

use serde::Deserialize;

/// One line.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Tiding {
    /// The stage is set.
    Stage(Stage),
    /// Picket has reported something.
    Violation {
        /// The object in Picket's log.
        event: Violation,
    },
    /// Something was tried; the violations since the last attempt are its own.
    Attempt(Box<Attempt>),
    /// It is over.
    End(End),
}

/// The stage.
#[derive(Debug, Deserialize)]
pub struct Stage {
    /// Release of the kernel.
    pub kernel: String,
    /// Who the agent is.
    pub user: String,
    /// The agent's home directory.
    pub home: String,
    /// Where the set-up has what is its own.
    pub base: String,
}

/// What is shown of a violation.
#[derive(Clone, Debug, Deserialize)]
pub struct Violation {
    /// `deny` or `audit`.
    pub verdict: String,
    /// The kernel hook that was asked.
    pub op: String,
    /// The rights that it was about.
    pub because: Vec<String>,
    /// The object.
    pub subject: Option<String>,
    /// The object's other name.
    pub peer: Option<String>,
    /// The deciding rule.
    pub rule: Option<Rule>,
    /// Events lost so far.
    pub lost: u64,
}

/// A rule.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    /// Why it is there.
    pub reason: Option<String>,
}

/// An attempt, as it was judged by its effect.
#[derive(Debug, Deserialize)]
pub struct Attempt {
    /// The kind.
    pub group: String,
    /// What it is called on the screen.
    pub says: String,
    /// Whether it ought to work.
    pub honest: bool,
    /// Why it was not tried.
    pub skipped: Option<String>,
    /// Whether it worked free of Picket.
    pub control: Option<bool>,
    /// What the control printed.
    pub control_saw: Option<Saw>,
    /// Whether it worked under Picket.
    #[serde(default)]
    pub worked: bool,
    /// What the agent saw.
    pub saw: Option<Saw>,
    /// The violation that must have been reported.
    pub expected: Option<Expected>,
}

/// What an attempt printed.
#[derive(Debug, Deserialize)]
pub struct Saw {
    /// Exit status; negative for a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A violation that must be there.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// One of these rights was refused ...
    pub rights: Vec<String>,
    /// ... on this object, under either of its names; on none where this is nothing.
    pub subject: Option<String>,
    /// Kernels differ in what they ask first: a refusal on no object will do as well.
    #[serde(default)]
    pub or_none: bool,
}

/// How it ended.
#[derive(Debug, Deserialize)]
pub struct End {
    /// Processes that the agent left behind.
    pub left: usize,
    /// How many of them still ran after Picket had ended.
    pub still: usize,
    /// Duration.
    pub seconds: f64,
}

impl Expected {
    /// Whether `violation` is the one.
    #[must_use]
    pub fn is(&self, violation: &Violation) -> bool {
        let named = [&violation.subject, &violation.peer];
        violation.verdict == "deny"
            && self.rights.iter().any(|right| violation.because.contains(right))
            && match &self.subject {
                None => violation.subject.is_none(),
                Some(_) if self.or_none && violation.subject.is_none() => true,
                Some(_) => named.contains(&&self.subject),
            }
    }
}
