//! The user that an agent runs as. Read from `/etc/passwd` and `/etc/group` directly, because a
//! static program cannot load the name services that `getpwnam` would ask.

use std::{env, fs, io};

/// Somebody to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// Every group, the primary one included.
    pub groups: Vec<u32>,
    /// Login name; the uid in digits where there is none.
    pub name: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// Why a user could not be found.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// A file that cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(&'static str, io::Error),
    /// Nobody of that name or number.
    #[error("no user {0} in /etc/passwd")]
    Unknown(String),
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

impl User {
    /// The user with a login name or number.
    pub fn find(who: &str) -> Result<User, UserError> {
        let read = |path| fs::read_to_string(path).map_err(|error| UserError::Read(path, error));
        parse(&read(PASSWD)?, &read(GROUP)?, who).ok_or_else(|| UserError::Unknown(who.to_owned()))
    }

    /// The user who called `sudo` (`SUDO_UID`), if that is how this process was started.
    pub fn behind_sudo() -> Result<Option<User>, UserError> {
        match env::var("SUDO_UID") {
            Ok(uid) if uid != "0" => User::find(&uid).map(Some),
            _ => Ok(None),
        }
    }

    /// The user of this process.
    pub fn current() -> Result<User, UserError> {
        // SAFETY: takes nothing, cannot fail.
        User::find(&unsafe { libc::getuid() }.to_string())
    }

    /// The same; with the number alone where `/etc/passwd` does not know it, as of users from elsewhere.
    #[must_use]
    pub fn current_or_unknown() -> User {
        // SAFETY: takes nothing, cannot fail.
        let uid = unsafe { libc::getuid() };
        User::find(&uid.to_string()).unwrap_or_else(|_| User::unknown(uid))
    }

    /// A user of whom only the number is known, as containers have them.
    #[must_use]
    pub fn unknown(uid: u32) -> User {
        User {
            uid,
            gid: uid,
            groups: vec![uid],
            name: uid.to_string(),
            home: "/nonexistent".to_owned(),
            shell: "/bin/sh".to_owned(),
        }
    }

    /// What a login sets in the environment.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("HOME", self.home.as_str()),
            ("USER", &self.name),
            ("LOGNAME", &self.name),
            ("SHELL", &self.shell),
        ]
        .into_iter()
    }
}

/// Finds `who` in the text of `passwd(5)` and `group(5)`.
fn parse(passwd: &str, group: &str, who: &str) -> Option<User> {
    let fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|fields| fields.len() == 7)
        .find(|fields| fields[0] == who || fields[2] == who)?;
    let (uid, gid) = (fields[2].parse().ok()?, fields[3].parse().ok()?);
    let mut groups = vec![gid];
    for line in group.lines() {
        if let [_, _, id, members] = line.split(':').collect::<Vec<_>>()[..]
            && members.split(',').any(|member| member == fields[0])
            && let Ok(id) = id.parse()
            && !groups.contains(&id)
        {
            groups.push(id);
        }
    }
    let shell = if fields[6].is_empty() { "/bin/sh" } else { fields[6] };
    Some(User {
        uid,
        gid,
        groups,
        name: fields[0].to_owned(),
        home: fields[5].to_owned(),
        shell: shell.to_owned(),
    })
}

/// Becomes a user for good, groups first. Async-signal-safe.
pub fn become_user(user: &User) -> io::Result<()> {
    let check = |code: libc::c_int| {
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the pointer and length are of one live vector; the rest takes integers only.
    unsafe {
        check(libc::setgroups(user.groups.len(), user.groups.as_ptr()))?;
        check(libc::setresgid(user.gid, user.gid, user.gid))?;
        check(libc::setresuid(user.uid, user.uid, user.uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\nagent:x:1000:1000:An Agent,,,:/home/agent:\n";
    const GROUP: &str =
        "root:x:0:\nsudo:x:27:agent,other\nagent:x:1000:\nvideo:x:44:other,agents\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let agent = parse(PASSWD, GROUP, "agent").unwrap();
        assert_eq!(parse(PASSWD, GROUP, "1000"), Some(agent.clone()));
        assert_eq!((agent.uid, agent.gid, agent.groups), (1000, 1000, vec![1000, 27]));
        assert_eq!((agent.home.as_str(), agent.shell.as_str()), ("/home/agent", "/bin/sh"));
        assert_eq!(parse(PASSWD, GROUP, "100"), None);
        assert_eq!(parse(PASSWD, GROUP, "x"), None);
    }
}
