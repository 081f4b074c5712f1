//! What a row of the catalogue is: plain data, so that the page, the tests and the mutation run say
//! the same. What is done with an attack is in [`crate::attempt`].

use std::any::Any;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::arena::Arena;
use crate::support::sys::Res;

/// One way around the fence.
pub struct Row {
    /// Its number, by area: 100s code, 200s files, 300s names and mounts, 400s deputies, 500s
    /// processes, 600s network, 700s kernel, 800s Picket itself, 900s the tag.
    pub number: u16,
    /// What is attempted.
    pub attack: &'static str,
    /// What stops it.
    pub stop: &'static str,
    /// Where it stands.
    pub status: Status,
    /// The first kernel line that has such a thing, where that is not the oldest.
    pub since: Option<&'static str>,
    /// How it is shown.
    pub proof: Proof,
}

/// Where a way around stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It leads nowhere, and a test shows it.
    Stopped,
    /// It is a way around still.
    Open,
    /// Not for this fence to stop, for this reason.
    OutOfScope(&'static str),
}

/// How a row is shown.
pub enum Proof {
    /// It is tried; see [`crate::attempt`].
    Attack(Attack),
    /// A test that does more than an attempt, under the row's number.
    Test(&'static [Hook], fn()),
    /// Nothing is run, for this reason.
    Untried(&'static str),
}

/// An attempt, with what must come of it.
pub struct Attack {
    /// Lines of `spec`, or a whole policy; `${dir}` is the arena's directory, `${home}` and
    /// `${workspace}` are in it. Allows all that the attack needs besides what it is after.
    pub policy: &'static str,
    /// The hook that must refuse.
    pub hook: Hook,
    /// Hooks that refuse nothing here, and without which it works all the same.
    pub needs: &'static [Hook],
    /// A right that the refusal must name.
    pub right: Rights,
    /// The subject of the event, as it is printed; `*` for any.
    pub about: fn(&Arena) -> String,
    /// Made before each attempt, by root without a tag; what must live meanwhile is returned.
    pub prepare: fn(&Arena) -> Box<dyn Any>,
    /// Done by the attacker before it is tagged.
    pub before: fn(&Arena) -> Res,
    /// The spellings.
    pub ways: &'static [Way],
    /// Whether what is attempted has come about.
    pub happened: fn(&Arena) -> bool,
    /// Who can do it without a tag.
    pub control: Control,
    /// Whether the agent is cut off from what its processes opened before they had a tag.
    pub cut_off: bool,
}

/// One spelling of an attack.
pub struct Way {
    /// What is special about it.
    pub name: &'static str,
    /// Does it.
    pub run: fn(&Arena) -> Res,
    /// The errno that the program sees; `None` for the hook's own.
    pub errno: Option<i32>,
    /// The hook that refuses, where it is not the attack's.
    pub hook: Option<Hook>,
    /// The right that is refused there.
    pub right: Option<Rights>,
    /// The hook that does its work on kernels that are too old for it.
    pub older: Option<Hook>,
}

/// Who can do without a tag what an agent must not be able to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Root, and an ordinary user.
    Anybody,
    /// Root, and others on some kernels or not at all, for this reason.
    Root(&'static str),
    /// Nobody is let: it would end the test or the machine. The attempt must be refused by the hook
    /// all the same.
    Nobody(&'static str),
}

/// The hook of an open row that no program is at yet.
pub const NONE_YET: Hook = Hook(u32::MAX);

/// What most attacks have in common.
pub const ATTACK: Attack = Attack {
    policy: "",
    hook: Hook::FILE_OPEN,
    needs: &[],
    right: Rights::NONE,
    about: |_| "*".to_owned(),
    prepare: |_| Box::new(()),
    before: |_| Ok(()),
    ways: &[],
    happened: Arena::looted,
    control: Control::Anybody,
    cut_off: false,
};

/// A spelling.
pub const fn way(name: &'static str, run: fn(&Arena) -> Res) -> Way {
    Way { name, run, errno: None, hook: None, right: None, older: None }
}

impl Attack {
    /// Whether a way may show something else without a hook.
    pub fn concerns(&self, way: &Way, hook: Hook) -> bool {
        way.hook.unwrap_or(self.hook) == hook
            || way.older == Some(hook)
            || self.needs.contains(&hook)
    }
}

impl Way {
    /// With another errno than the hook's own.
    pub const fn errno(self, errno: i32) -> Way {
        Way { errno: Some(errno), ..self }
    }

    /// By a program that only says that it failed; see [`Arena::shell`].
    pub const fn tool(self) -> Way {
        self.errno(libc::ECHILD)
    }

    /// Refused by another hook than the attack's.
    pub const fn by(self, hook: Hook, right: Rights) -> Way {
        Way { hook: Some(hook), right: Some(right), ..self }
    }

    /// Refused by this hook on kernels that do not have the one that is named.
    pub const fn before(self, older: Hook) -> Way {
        Way { older: Some(older), ..self }
    }
}

impl Row {
    /// A row that is stopped, by an attack.
    pub const fn stopped(
        number: u16,
        attack: &'static str,
        stop: &'static str,
        proof: Attack,
    ) -> Row {
        let proof = Proof::Attack(proof);
        Row { number, attack, stop, status: Status::Stopped, since: None, proof }
    }

    /// The same, still open.
    pub const fn open(number: u16, attack: &'static str, stop: &'static str, proof: Attack) -> Row {
        Row { status: Status::Open, ..Row::stopped(number, attack, stop, proof) }
    }

    /// A row that is stopped, by a test of its own which fails without any of these hooks.
    pub const fn tested(
        number: u16,
        attack: &'static str,
        stop: &'static str,
        hooks: &'static [Hook],
        test: fn(),
    ) -> Row {
        let proof = Proof::Test(hooks, test);
        Row { number, attack, stop, status: Status::Stopped, since: None, proof }
    }

    /// A row without a test.
    pub const fn untried(
        number: u16,
        attack: &'static str,
        stop: &'static str,
        status: Status,
        why: &'static str,
    ) -> Row {
        Row { number, attack, stop, status, since: None, proof: Proof::Untried(why) }
    }

    /// The name of its test.
    pub fn name(&self) -> String {
        format!("row_{}", self.number)
    }

    /// How many spellings it has.
    pub fn ways(&self) -> usize {
        match &self.proof {
            Proof::Attack(attack) => attack.ways.len(),
            Proof::Test(..) => 1,
            Proof::Untried(_) => 0,
        }
    }

    /// Whether it would end the test, or more, if it were not stopped.
    pub fn is_dangerous(&self) -> bool {
        matches!(&self.proof, Proof::Attack(Attack { control: Control::Nobody(_), .. }))
    }

    /// The hooks without which it must fail.
    pub fn hooks(&self) -> Vec<Hook> {
        let mut hooks = match &self.proof {
            Proof::Attack(attack) => {
                let of = |way: &Way| way.hook.unwrap_or(attack.hook);
                let older = attack.ways.iter().filter_map(|way| way.older);
                let needs = attack.needs.iter().copied();
                let named = attack.ways.iter().map(of).chain(older).chain(needs);
                named.filter(|hook| *hook != NONE_YET).collect()
            }
            Proof::Test(hooks, _) => hooks.to_vec(),
            Proof::Untried(_) => Vec::new(),
        };
        hooks.sort_by_key(|hook| hook.0);
        hooks.dedup();
        hooks
    }
}
