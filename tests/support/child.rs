//! A process that does what it is told: forked from the test, it waits for a number, runs that step
//! of the test's own closure, and answers with the outcome. So the same process can try the same
//! thing before it is tagged and afterwards.

use std::any::Any;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::{fs, io};

use sensor_ebpf::tag::Tag;
use sensor_user::kernel::load::Tags;

use super::sys::files::{close, pipe, read_next, write};
use super::sys::process::{self, pidfd};
use super::sys::{Errno, Res};

/// Name of the thread, as events show it.
pub const NAME: &str = "picket-agent";

/// The answer of a child whose step panicked.
const PANICKED: i64 = i64::MIN;

/// What is asked of a child.
#[derive(Clone, Copy)]
struct Order {
    step: u32,
    /// A tag to take on, instead of a step.
    tag: Tag,
}

/// What a step can answer with: something that fits a pipe.
pub trait Answer {
    /// As a number that is not negative.
    fn number(self) -> i64;
}

impl Answer for () {
    fn number(self) -> i64 {
        0
    }
}

impl Answer for i64 {
    fn number(self) -> i64 {
        assert!(self >= 0, "an answer of {self} would read as an errno");
        self
    }
}

/// A process that waits for orders, and ends when it is dropped.
pub struct Child {
    pid: i32,
    orders: OwnedFd,
    answers: OwnedFd,
}

impl Child {
    /// Forks, and waits until the child can be told something: what it does before
    /// that, a tag could forbid it.
    pub fn new<A: Answer>(tags: &Tags, body: impl FnMut(u32) -> Res<A>) -> Child {
        let (orders_out, orders) = pipe().unwrap();
        let (answers, answers_in) = pipe().unwrap();
        match process::fork().unwrap() {
            Some(pid) => {
                // Only the child may have this end, or nobody would notice that it is gone.
                drop(answers_in);
                let child = Child { pid, orders, answers };
                assert_eq!(child.receive(None), Ok(0), "the child is not ready");
                child
            }
            None => {
                drop(orders);
                serve(tags, body, &orders_out, &answers_in)
            }
        }
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Has it run a step.
    pub fn run(&mut self, step: u32) -> Res<i64> {
        self.order(Order { step, tag: Tag::default() })
    }

    /// Has it begin with a step; [`end`](Self::end) waits for it.
    pub fn begin(&mut self, step: u32) {
        self.send(&Order { step, tag: Tag::default() });
    }

    /// Waits for the step that it was told to begin with.
    pub fn end(&mut self) -> Res<i64> {
        self.receive(None)
    }

    /// Has it run a step that has nothing to say but whether it went well.
    pub fn try_to(&mut self, step: u32) -> Res {
        self.run(step).map(drop)
    }

    /// Has it tag itself.
    pub fn tag(&mut self, tag: Tag) {
        self.order(Order { step: 0, tag }).unwrap();
    }

    /// The tag that it bears, as userspace sees it.
    pub fn tag_of(&self, tags: &Tags) -> Option<Tag> {
        tags.of(pidfd(self.pid).unwrap().as_fd()).unwrap()
    }

    fn order(&mut self, order: Order) -> Res<i64> {
        self.send(&order);
        self.receive(Some(order.step))
    }

    fn send(&mut self, order: &Order) {
        let words = [order.step, order.tag.agent, order.tag.epoch];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        write(&self.orders, &bytes).unwrap_or_else(|error| panic!("the child is gone: {error:?}"));
    }

    fn receive(&self, step: Option<u32>) -> Res<i64> {
        let step = step.map_or_else(|| "it began with".to_owned(), |step| step.to_string());
        let mut answer = [0; 8];
        let count = read_next(&self.answers, &mut answer).unwrap();
        assert_eq!(
            count,
            answer.len(),
            "the child ended in step {step}: {:?}",
            process::wait(self.pid)
        );
        match i64::from_le_bytes(answer) {
            PANICKED => panic!("the child panicked in step {step}, see above"),
            errno @ ..0 => Err(Errno(-errno as i32)),
            number => Ok(number),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Closing the pipe would not do: children that were forked later have it open too. A child
        // that is gone already needs no killing.
        let _ = process::kill(self.pid, libc::SIGKILL);
        let _ = process::wait(self.pid);
    }
}

/// What the child does.
fn serve<A: Answer>(
    tags: &Tags,
    mut body: impl FnMut(u32) -> Res<A>,
    orders: &OwnedFd,
    answers: &OwnedFd,
) -> ! {
    // The test harness would catch the message in a buffer that this process never prints.
    panic::set_hook(Box::new(|info| {
        let _ = process::complain(&format!("in a child: {info}\n"));
    }));
    let mut bytes = [0; 12];
    let prepared = process::set_name(NAME).map_err(|error| format!("{error:?}"));
    let prepared = prepared.and_then(|()| close_links().map_err(|error| error.to_string()));
    let mut ready = prepared.is_ok();
    if let Err(why) = prepared {
        let _ = process::complain(&format!("a child cannot begin: {why}\n"));
    }
    if ready {
        ready = write(answers, &encode(Ok(Ok(0))).to_le_bytes()).is_ok();
    }
    while ready {
        match read_next(orders, &mut bytes) {
            Ok(count) if count == bytes.len() => {}
            Ok(0) => break,
            odd => {
                let _ = process::complain(&format!("a child cannot read its orders: {odd:?}\n"));
                break;
            }
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let (step, tag) = (word(0), Tag { agent: word(4), epoch: word(8) });
        let answer = if tag == Tag::default() {
            panic::catch_unwind(AssertUnwindSafe(|| body(step).map(Answer::number)))
        } else {
            let tagged = tags.tag_self(tag).map_err(|e| Errno(e.raw_os_error().unwrap_or(0)));
            Ok(tagged.map(|()| 0))
        };
        ready = write(answers, &encode(answer).to_le_bytes()).is_ok();
    }
    process::exit(0)
}

/// Closes the programs' links, which the child has inherited: they stay attached for as long as
/// anybody has one open.
fn close_links() -> io::Result<()> {
    let links: Vec<PathBuf> = fs::read_dir("/proc/self/fd")?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &io::Result<PathBuf>| match path {
            Ok(path) => fs::read_link(path).is_ok_and(|to| to.ends_with("anon_inode:bpf_link")),
            Err(_) => true,
        })
        .collect::<io::Result<_>>()?;
    for link in links {
        let number = link.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
        let closed = number.map(close);
        assert_eq!(closed, Some(Ok(())), "{}", link.display());
    }
    Ok(())
}

fn encode(answer: Result<Res<i64>, Box<dyn Any + Send>>) -> i64 {
    match answer {
        Ok(Ok(number)) => number,
        Ok(Err(errno)) => -i64::from(errno.0),
        Err(_) => PANICKED,
    }
}
