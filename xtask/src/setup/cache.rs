//! The per-user cache: where it is, how an artefact gets into it whole or not at all, and the lock
//! that keeps two set-ups apart. Knows nothing of what the artefacts are.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// Begins the names of directories under construction; whatever has it while nobody holds the lock
/// is left over from a killed set-up.
const UNFINISHED: &str = ".unfinished-";

/// The cache directory and what is in it.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// The right to change the cache; the kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its file lock")] File);

/// A directory that is removed when the value goes.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next set-up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Cache {
    /// Opens `$PICKET_CACHE`, else `$XDG_CACHE_HOME/picket`, else `~/.cache/picket`; makes it where
    /// it is missing.
    ///
    /// # Errors
    /// When none of the three variables gives an absolute path, or the directory cannot be made.
    pub fn open() -> Result<Self> {
        Self::at(locate(|name| env::var_os(name).map(PathBuf::from))?)
    }

    /// One in another directory, which is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(root: PathBuf) -> Result<Self> {
        let logs = root.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { root })
    }

    /// The path of an entry, there or not.
    #[must_use]
    pub fn path(&self, entry: &str) -> PathBuf {
        self.root.join(entry)
    }

    /// Where the output of the step called `name` goes.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Waits until no other set-up works in the cache, and sweeps what a killed one left.
    ///
    /// # Errors
    /// When the lock file cannot be opened or locked, or leftovers cannot be removed.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.root.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            eprintln!("setup: waiting for another set-up that works in {}", self.root.display());
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).with_context(|| {
                    format!("cannot remove {}, left by a killed set-up", entry.path().display())
                })?;
            }
        }
        Ok(Lock(file))
    }

    /// Makes the directory `entry` by letting `fill` work in an empty one beside it, which gets its
    /// name only when `fill` has succeeded. Replaces what was there.
    ///
    /// # Errors
    /// `fill`'s, and those of making and renaming the directory.
    pub fn publish(
        &self,
        _lock: &Lock,
        entry: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let unfinished = self.root.join(format!("{UNFINISHED}{entry}"));
        fs::create_dir(&unfinished)
            .with_context(|| format!("cannot make {}", unfinished.display()))?;
        let filled = fill(&unfinished);
        if let Err(error) = filled {
            // The error in hand is the one to tell; what cannot be removed now is swept by the next
            // set-up.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
        let target = self.path(entry);
        match fs::remove_dir_all(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot replace {}", target.display()));
            }
            _ => {}
        }
        fs::rename(&unfinished, &target)
            .with_context(|| format!("cannot rename to {}", target.display()))?;
        Ok(target)
    }

    /// Removes the artefacts whose names begin with `prefix`, but those in `keep`: a new recipe or
    /// version has taken their place. A machine that still runs from one keeps its open files.
    ///
    /// # Errors
    /// Those of reading and removing directories.
    pub fn prune(&self, _lock: &Lock, prefix: &str, keep: &[&str]) -> Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let old = name.starts_with(prefix) && !keep.contains(&&*name);
            if old && entry.file_type()?.is_dir() {
                eprintln!("setup: removing {name} from the cache, which has been replaced");
                refuse_mounts(&entry.path())?;
                fs::remove_dir_all(entry.path())
                    .with_context(|| format!("cannot remove {name}"))?;
            }
        }
        Ok(())
    }

    /// An empty directory for work in between; it goes when the value does.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self, _lock: &Lock, name: &str) -> Result<Scratch> {
        let path = self.root.join(format!("{UNFINISHED}scratch-{name}"));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// Writes a small file whole or not at all; leaves it untouched (and its time stamp, which
    /// build scripts watch) when it says that already.
    ///
    /// # Errors
    /// Those of writing and renaming.
    pub fn write(&self, _lock: &Lock, entry: &str, text: &str) -> Result<()> {
        let target = self.path(entry);
        if fs::read_to_string(&target).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let beside = self.root.join(format!("{entry}.new"));
        fs::write(&beside, text).with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, &target).with_context(|| format!("cannot write {}", target.display()))
    }
}

/// Where the cache is, by the rules of the XDG base directory specification: relative paths are not
/// valid.
fn locate(var: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(own) = var("PICKET_CACHE").filter(|path| !path.as_os_str().is_empty()) {
        if own.is_relative() {
            bail!("PICKET_CACHE is {}; give an absolute path", own.display());
        }
        return Ok(own);
    }
    if let Some(xdg) = var("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
        return Ok(xdg.join("picket"));
    }
    match var("HOME").filter(|path| path.is_absolute()) {
        Some(home) => Ok(home.join(".cache/picket")),
        None => bail!(
            "no place for the cache: none of PICKET_CACHE, XDG_CACHE_HOME and HOME is an absolute path"
        ),
    }
}

/// A killed set-up may have left file systems mounted in what it was making; removing files there
/// would remove the machine's own.
fn refuse_mounts(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read mountinfo")?;
    match mounted_below(&mounts, dir) {
        None => Ok(()),
        Some(at) => bail!(
            "{at} is mounted inside what a killed set-up left; run: sudo umount --recursive {at}"
        ),
    }
}

/// The first mount point at or below `dir`; the fifth field of each line (proc_pid_mountinfo(5)).
fn mounted_below<'m>(mountinfo: &'m str, dir: &Path) -> Option<&'m str> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.into_iter().find(|point| Path::new(point).starts_with(dir))
}

/// The first twelve hex digits of the SHA-256 of a recipe: a new recipe is a new cache entry.
#[must_use]
pub fn recipe_key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> Cache {
        let root = env::temp_dir().join(format!("picket-cache-test-{}-{name}", std::process::id()));
        Cache::at(root).unwrap()
    }

    #[test]
    fn the_nearest_variable_wins_and_relative_ones_do_not_count() {
        let with = |pairs: &'static [(&str, &str)]| {
            locate(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        assert_eq!(
            with(&[("PICKET_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")]).unwrap(),
            Path::new("/a")
        );
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "/b"), ("HOME", "/c")]).unwrap(),
            Path::new("/b/picket")
        );
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "b"), ("HOME", "/c")]).unwrap(),
            Path::new("/c/.cache/picket")
        );
        assert!(with(&[("PICKET_CACHE", "a"), ("HOME", "/c")]).is_err());
        assert!(with(&[]).is_err());
    }

    #[test]
    fn a_failed_recipe_leaves_the_old_artefact() {
        let cache = scratch("publish");
        let lock = cache.lock().unwrap();
        let write = |text: &'static str| move |dir: &Path| Ok(fs::write(dir.join("f"), text)?);
        cache.publish(&lock, "thing", write("old")).unwrap();
        let failed = cache.publish(&lock, "thing", |dir| {
            fs::write(dir.join("f"), "half")?;
            bail!("killed")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(cache.path("thing/f")).unwrap(), "old");
        cache.publish(&lock, "thing", write("new")).unwrap();
        assert_eq!(fs::read_to_string(cache.path("thing/f")).unwrap(), "new");
        fs::remove_dir_all(cache.root).unwrap();
    }

    #[test]
    fn pruning_keeps_what_is_in_use_and_what_is_not_asked_for() {
        let cache = scratch("prune");
        for dir in ["kernel-1", "kernel-2", "userland-1"] {
            fs::create_dir(cache.path(dir)).unwrap();
        }
        fs::write(cache.path("kernel-6.1.chosen"), "kernel-2").unwrap();
        let lock = cache.lock().unwrap();
        cache.prune(&lock, "kernel-", &["kernel-2"]).unwrap();
        assert!(!cache.path("kernel-1").exists());
        for kept in ["kernel-2", "userland-1", "kernel-6.1.chosen"] {
            assert!(cache.path(kept).exists(), "{kept}");
        }
        fs::remove_dir_all(cache.root).unwrap();
    }

    #[test]
    fn taking_the_lock_sweeps_what_a_killed_set_up_left() {
        let cache = scratch("sweep");
        fs::create_dir(cache.path(".unfinished-rootfs")).unwrap();
        fs::create_dir_all(cache.path("rootfs")).unwrap();
        drop(cache.lock().unwrap());
        assert!(!cache.path(".unfinished-rootfs").exists());
        assert!(cache.path("rootfs").exists());
        fs::remove_dir_all(cache.root).unwrap();
    }

    #[test]
    fn mounts_below_a_directory_are_seen() {
        let mountinfo = "21 1 254:0 / / rw - ext4 /dev/vda rw\n\
            40 21 0:5 / /c/.unfinished-x/tree/proc rw - proc proc rw\n";
        let below = |dir| mounted_below(mountinfo, Path::new(dir));
        assert_eq!(below("/c/.unfinished-x"), Some("/c/.unfinished-x/tree/proc"));
        assert_eq!(below("/c/.unfinished"), None);
    }

    #[test]
    fn recipe_parts_do_not_run_together() {
        assert_eq!(recipe_key(&["ab", "c"]), recipe_key(&["ab", "c"]));
        assert_ne!(recipe_key(&["ab", "c"]), recipe_key(&["a", "bc"]));
        assert_eq!(recipe_key(&["ab"]).len(), 12);
    }
}
