//! Lines made of what happened, written, and read back.

use std::time::SystemTime;

use super::super::{Context, Event, Rule};
use super::{Gap, Head, Line, Loss, Notice, Process, Subject, Text, Violation};

impl<'a> Line<'a> {
    /// The line for an event that happened at `time`.
    #[must_use]
    pub fn violation(
        event: &Event,
        context: Context<'a>,
        time: SystemTime,
        process: Process,
    ) -> Line<'a> {
        Line::Violation(Box::new(Violation::new(event, context, time, process)))
    }

    /// The line that says that `lost` violations of an agent were lost since the last such line,
    /// `total` in its whole life.
    #[must_use]
    pub fn loss(of: Subject<'a>, lost: u64, total: u64, time: SystemTime) -> Line<'a> {
        let (cause, total) = ("ring".into(), Some(total));
        Line::Loss(Loss { head: Head::new(time), of, cause, lost, total })
    }

    /// The line for `lost` violations that a daemon had counted and not said when it was killed.
    #[must_use]
    pub fn left_over(of: Subject<'a>, lost: u64, time: SystemTime) -> Line<'a> {
        let cause = "daemon".into();
        Line::Loss(Loss { head: Head::new(time), of, cause, lost, total: None })
    }

    /// The line that says how many lines a sink is missing.
    #[must_use]
    pub fn gap(sink: &'a str, missed: u64) -> Line<'a> {
        Line::Gap(Gap { head: Head::new(SystemTime::now()), sink: sink.into(), missed })
    }

    /// The line for something that the daemon did.
    #[must_use]
    pub fn notice(what: &'a str, of: Option<Subject<'a>>, detail: Option<&'a str>) -> Line<'a> {
        let head = Head::new(SystemTime::now());
        Line::Notice(Notice { head, of, what: what.into(), detail: detail.map(Text::from) })
    }

    /// Its `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Line::Violation(_) => "violation",
            Line::Repeat(_) => "repeat",
            Line::Loss(_) => "loss",
            Line::Gap(_) => "gap",
            Line::Notice(_) => "notice",
        }
    }

    /// What every line has.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Line::Violation(line) => &line.head,
            Line::Repeat(line) => &line.last.head,
            Line::Loss(line) => &line.head,
            Line::Gap(line) => &line.head,
            Line::Notice(line) => &line.head,
        }
    }

    /// Gives the line its number.
    pub fn number(&mut self, n: u64) {
        let head = match self {
            Line::Violation(line) => &mut line.head,
            Line::Repeat(line) => &mut line.last.head,
            Line::Loss(line) => &mut line.head,
            Line::Gap(line) => &mut line.head,
            Line::Notice(line) => &mut line.head,
        };
        head.n = Some(n);
    }

    /// The agent that it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject<'a>> {
        match self {
            Line::Violation(line) => Some(&line.of),
            Line::Repeat(line) => Some(&line.last.of),
            Line::Loss(line) => Some(&line.of),
            Line::Gap(_) => None,
            Line::Notice(line) => line.of.as_ref(),
        }
    }

    /// The violation in it.
    #[must_use]
    pub fn as_violation(&self) -> Option<&Violation<'a>> {
        match self {
            Line::Violation(line) => Some(line),
            Line::Repeat(line) => Some(&line.last),
            Line::Loss(_) | Line::Gap(_) | Line::Notice(_) => None,
        }
    }

    /// As text, with its newline. Nothing here can fail to be JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// If it is none of this version.
    pub fn parse(text: &str) -> serde_json::Result<Line<'static>> {
        serde_json::from_str(text)
    }
}

fn own(text: Text<'_>) -> Text<'static> {
    Text::Owned(text.into_owned())
}

impl Subject<'_> {
    fn into_owned(self) -> Subject<'static> {
        Subject {
            agent: own(self.agent),
            agent_id: own(self.agent_id),
            owner: self.owner,
            policy: own(self.policy),
            version: own(self.version),
        }
    }
}

impl<'a> Violation<'a> {
    /// The same, of texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Violation<'static> {
        let all = |texts: Vec<Text<'_>>| texts.into_iter().map(own).collect();
        Violation {
            head: self.head,
            of: self.of.into_owned(),
            verdict: own(self.verdict),
            op: own(self.op),
            requested: all(self.requested),
            because: all(self.because),
            errno: self.errno.map(own),
            rule: self.rule.map(|rule| Rule {
                file: own(rule.file),
                line: rule.line,
                reason: rule.reason.map(own),
            }),
            fault: self.fault.map(own),
            seq: self.seq,
            lost: self.lost,
            subject: self.subject,
            peer: self.peer,
            pid: self.pid,
            tid: self.tid,
            ppid: self.ppid,
            uid: self.uid,
            gid: self.gid,
            comm: self.comm,
            start: self.start,
            cgroup: self.cgroup,
            process: self.process,
        }
    }

    /// The violation that an event says happened at `time`.
    #[must_use]
    pub fn new(event: &Event, context: Context<'a>, time: SystemTime, process: Process) -> Self {
        let id = format!("{}.{}", event.header.agent, event.header.epoch);
        let names = |rights: sensor_ebpf::rights::Rights| rights.names().map(Text::from).collect();
        let fault = event.fault.name().unwrap_or("unknown");
        Violation {
            head: Head::new(time),
            of: Subject {
                agent: context.agent.into(),
                agent_id: id.into(),
                owner: context.owner,
                policy: context.policy.into(),
                version: context.version.into(),
            },
            seq: event.header.seq,
            lost: event.header.lost,
            verdict: event.verdict.name().into(),
            op: event.hook.name().unwrap_or("unknown").into(),
            requested: names(event.requested),
            because: names(event.because),
            subject: event.subject.as_ref().map(ToString::to_string),
            peer: event.peer.as_ref().map(ToString::to_string),
            errno: event.errno().map(Text::from),
            rule: context.rule,
            fault: (event.fault.0 != 0).then(|| fault.into()),
            pid: event.header.pid,
            tid: event.header.tid,
            ppid: event.header.ppid,
            uid: event.header.uid,
            gid: event.header.gid,
            comm: event.comm(),
            start: event.header.start,
            cgroup: event.header.cgroup,
            process,
        }
    }
}
