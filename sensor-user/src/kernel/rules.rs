//! The rules by which the kernel side tags processes itself; see `sensor_ebpf::tagging`.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya::maps::MapData;
use sensor_ebpf::tag::Tag;
use sensor_ebpf::tagging::{
    BY_CGROUP, BY_PATH, CgroupRule, NAME_KEY, PATH_KEY, RULES_MAX, name_key, path_key,
};

use super::error::KernelError;
use super::sys::{self, Bytes};

/// All rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRules {
    paths: BTreeMap<[u8; PATH_KEY], Tag>,
    names: BTreeMap<[u8; NAME_KEY], u32>,
    cgroups: BTreeMap<u64, CgroupRule>,
}

/// Why a rule cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum TagRuleError {
    /// A path that no rule can hold.
    #[error("the path has more than {} bytes", PATH_KEY - 1)]
    Long,
    /// Too many.
    #[error("there may be {RULES_MAX} rules of a kind")]
    Full,
    /// Two rules for the same.
    #[error("another rule names the same")]
    Twice,
}

impl TagRules {
    /// Whoever runs the program at this canonical path gets a tag.
    pub fn add_path(&mut self, path: &Path, tag: Tag) -> Result<(), TagRuleError> {
        let bytes = path.as_os_str().as_bytes();
        let key = path_key(bytes).ok_or(TagRuleError::Long)?;
        let name = path.file_name().map(std::ffi::OsStr::as_bytes).unwrap_or_default();
        add(&mut self.paths, key, tag)?;
        self.names.insert(name_key(name), 1);
        Ok(())
    }

    /// Whoever is in the cgroup with this id, or below it, gets a tag.
    pub fn add_cgroup(&mut self, id: u64, tag: Tag) -> Result<(), TagRuleError> {
        add(&mut self.cgroups, id, CgroupRule { tag, engines: 0 })
    }

    /// The same for those who run a program there in another mount namespace than that of the engines
    /// which make containers, by its number.
    pub fn add_containers(&mut self, id: u64, tag: Tag, engines: u32) -> Result<(), TagRuleError> {
        add(&mut self.cgroups, id, CgroupRule { tag, engines })
    }
}

fn add<K: Ord, V>(rules: &mut BTreeMap<K, V>, key: K, value: V) -> Result<(), TagRuleError> {
    if rules.len() >= RULES_MAX as usize {
        return Err(TagRuleError::Full);
    }
    match rules.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(TagRuleError::Twice),
    }
}

/// The maps.
pub struct RuleMaps {
    kinds: MapData,
    paths: MapData,
    names: MapData,
    cgroups: MapData,
}

impl RuleMaps {
    /// The maps that `take` finds by name.
    pub(super) fn new(
        mut take: impl FnMut(&'static str) -> Result<MapData, KernelError>,
    ) -> Result<RuleMaps, KernelError> {
        Ok(RuleMaps {
            kinds: take("TAGGING")?,
            paths: take("TAG_PATHS")?,
            names: take("TAG_NAMES")?,
            cgroups: take("TAG_CGROUPS")?,
        })
    }

    /// Puts rules in force in place of those that are. One that stays is in force all the time.
    pub fn put(&self, rules: &TagRules) -> Result<(), KernelError> {
        fill(&self.names, &rules.names)?;
        fill(&self.paths, &rules.paths)?;
        fill(&self.cgroups, &rules.cgroups)?;
        let by_path = if rules.paths.is_empty() { 0 } else { BY_PATH };
        let by_cgroup = if rules.cgroups.is_empty() { 0 } else { BY_CGROUP };
        sys::update(self.kinds.fd().as_fd(), &0_u32, &[by_path | by_cgroup]).map_err(failed)?;
        empty(&self.cgroups, &rules.cgroups, 0)?;
        empty(&self.paths, &rules.paths, [0; PATH_KEY])?;
        empty(&self.names, &rules.names, [0; NAME_KEY])
    }
}

fn failed(source: std::io::Error) -> KernelError {
    KernelError::Call { what: "write the rules for tagging", source }
}

fn fill<K: Bytes, V: Bytes>(map: &MapData, wanted: &BTreeMap<K, V>) -> Result<(), KernelError> {
    for (key, value) in wanted {
        sys::update(map.fd().as_fd(), key, &[*value]).map_err(failed)?;
    }
    Ok(())
}

/// Takes out what is not wanted.
fn empty<K: Bytes + Ord, V>(
    map: &MapData,
    wanted: &BTreeMap<K, V>,
    start: K,
) -> Result<(), KernelError> {
    for key in sys::keys(map.fd().as_fd(), start).map_err(failed)? {
        if !wanted.contains_key(&key) {
            sys::delete(map.fd().as_fd(), &key).map_err(failed)?;
        }
    }
    Ok(())
}
