//! Started as root, the program becomes another user: before it opens anything and while it has one thread, so that whatever it
//! makes belongs to that user. Capabilities stay until it captures, but for those that override the permissions of files.
//!
//! Who is not root has chosen a user already, as the unit does, and stays who they are.

use std::ffi::CString;
use std::fmt::Display;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability, CapsHashSet};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::prctl;
use nix::unistd::{
    AccessFlags, Gid, Uid, User, faccessat, geteuid, getgrouplist, getgroups, setegid, seteuid, setgroups, setresgid,
    setresuid,
};

use super::paths::Paths;
use crate::failure::Failure;

/// The user it becomes where none is configured, if that one can do what the configuration asks for.
const USUAL: &str = "nobody";

/// Whoever is meant by `USUAL` where there is no list of users, as in an image without one: the kernel's own number for it.
const OVERFLOW: u32 = 65_534;

/// What root may by capabilities alone, whatever the permissions of a file say.
const OF_FILES: [Capability; 3] =
    [Capability::CAP_DAC_OVERRIDE, Capability::CAP_DAC_READ_SEARCH, Capability::CAP_FOWNER];

/// A user, by numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ids {
    user: Uid,
    group: Gid,
    /// All groups of the user, `group` among them.
    groups: Vec<Gid>,
}

impl Ids {
    /// Of a user who is in no list.
    fn unlisted(number: u32) -> Self {
        let group = Gid::from_raw(number);
        Self { user: Uid::from_raw(number), group, groups: vec![group] }
    }

    /// Of a user as the system knows it.
    fn listed(user: User) -> Self {
        let groups = CString::new(user.name).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
        Self { user: user.uid, group: user.gid, groups: groups.unwrap_or_else(|| vec![user.gid]) }
    }
}

/// Becomes `wanted` (`service.user`). Gives what is to be said of it: who it is, or why it stays root.
pub fn become_user(wanted: Option<&str>, paths: &Paths) -> Result<String, Failure> {
    if !geteuid().is_root() {
        return Ok(format!("user {}", name(geteuid())));
    }
    let user = wanted.unwrap_or(USUAL);
    let ids = ids(user).ok_or_else(|| {
        Failure::Usage(format!("service.user: there is no user {user:?}; name one of this system, or write its number"))
    })?;
    if ids.user.is_root() {
        stay_root(paths)?;
        return Ok("user root, as service.user says".to_owned());
    }
    if let Err(obstacle) = prepare(paths, &ids) {
        let cure = "let that user have it, or set another `service.user`";
        if wanted.is_some() {
            return Err(Failure::Failed(format!("service.user: {obstacle} as {user:?}; {cure}")));
        }
        // Root it was until now, and a configuration that worked goes on to.
        stay_root(paths)?;
        tracing::warn!("it stays root, without capabilities: {obstacle} as {user:?}; {cure}");
        return Ok(format!("user root: {obstacle} as {user:?}"));
    }
    let refused = |error| Failure::Failed(format!("service.user: this process cannot become {user:?}: {error}"));
    switch(&ids).map_err(refused)?;
    Ok(format!("user {}", name(ids.user)))
}

/// The numbers of a user, by name or number.
fn ids(user: &str) -> Option<Ids> {
    match user.parse() {
        Ok(number) => {
            let listed = User::from_uid(Uid::from_raw(number)).ok().flatten();
            Some(listed.map_or_else(|| Ids::unlisted(number), Ids::listed))
        }
        Err(_) => {
            let listed = User::from_name(user).ok().flatten().map(Ids::listed);
            listed.or_else(|| (user == USUAL).then(|| Ids::unlisted(OVERFLOW)))
        }
    }
}

fn name(user: Uid) -> String {
    User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name)
}

/// Sees that everything is open to the user, and makes folders that are missing. `Err` says what is not open; no folder is left
/// then that only that user could write to.
fn prepare(paths: &Paths, ids: &Ids) -> Result<(), String> {
    let existing = |folder: &&PathBuf| folder.exists();
    look(ids, || unreadable(&paths.read).or_else(|| unwritable(paths.written.iter().filter(existing))))?;
    let mut made = Vec::new();
    let all = make_folders(paths, ids, &mut made);
    // A folder that was made may lie in one that is closed to the user.
    let open = all.and_then(|()| look(ids, || unwritable(&paths.written)));
    if open.is_err() {
        // They are empty: nothing is lost, and whoever needs them makes them anew.
        made.iter().for_each(|folder| _ = fs::remove_dir(folder));
    }
    open
}

/// Makes folders that are missing, for the user: only root may where they go. `made` are those that it made.
fn make_folders<'a>(paths: &'a Paths, ids: &Ids, made: &mut Vec<&'a Path>) -> Result<(), String> {
    for folder in &paths.written {
        if folder.exists() {
            continue;
        }
        let no = |error| format!("{} cannot be made ({error})", folder.display());
        DirBuilder::new().mode(0o700).create(folder).map_err(no)?;
        made.push(folder);
        chown(folder, Some(ids.user.as_raw()), Some(ids.group.as_raw())).map_err(no)?;
    }
    Ok(())
}

/// Errs where root cannot go on writing once it has no capabilities: a folder of another user would take what is written at the
/// start, and nothing after that.
fn stay_root(paths: &Paths) -> Result<(), Failure> {
    let no = |error: &dyn Display| Failure::Failed(format!("capabilities cannot be looked at ({error})"));
    let before = caps::read(None, CapSet::Effective).map_err(|error| no(&error))?;
    let without: CapsHashSet = before.iter().copied().filter(|one| !OF_FILES.contains(one)).collect();
    caps::set(None, CapSet::Effective, &without).map_err(|error| no(&error))?;
    let obstacle = unwritable(paths.written.iter().filter(|folder| folder.exists()));
    caps::set(None, CapSet::Effective, &before).map_err(|error| no(&error))?;
    obstacle.map_or(Ok(()), |obstacle| {
        Err(Failure::Failed(format!(
            "{obstacle} as root, which has no capabilities once it runs; give the folder to root, or set `service.user` to a \
             user who can read and write all that the configuration names"
        )))
    })
}

/// Looks as the user; becomes root again. `Err` is what `obstacle` says.
fn look(ids: &Ids, obstacle: impl FnOnce() -> Option<String>) -> Result<(), String> {
    let groups = getgroups().unwrap_or_default();
    let own = nix::unistd::getegid();
    let no = |error: nix::Error| format!("rights cannot be looked at ({error})");
    setgroups(&ids.groups).and_then(|()| setegid(ids.group)).and_then(|()| seteuid(ids.user)).map_err(no)?;
    let found = obstacle();
    seteuid(Uid::from_raw(0)).and_then(|()| setegid(own)).and_then(|()| setgroups(&groups)).map_err(no)?;
    found.map_or(Ok(()), Err)
}

/// The first file that the effective user cannot read.
fn unreadable(files: &[PathBuf]) -> Option<String> {
    files.iter().find_map(|path| {
        // One that is missing is another mistake, told where it is opened.
        let error = File::open(path).err().filter(|error| error.kind() != io::ErrorKind::NotFound)?;
        Some(format!("{} cannot be read ({error})", path.display()))
    })
}

/// The first folder that the effective user cannot write to.
fn unwritable<'a>(folders: impl IntoIterator<Item = &'a PathBuf>) -> Option<String> {
    let all = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    folders.into_iter().find_map(|folder| {
        let error = faccessat(AT_FDCWD, folder, all, AtFlags::AT_EACCESS).err()?;
        Some(format!("{} cannot be written to ({})", folder.display(), io::Error::from(error)))
    })
}

/// For good.
fn switch(ids: &Ids) -> io::Result<()> {
    prctl::set_keepcaps(true)?;
    setgroups(&ids.groups)?;
    setresgid(ids.group, ids.group, ids.group)?;
    setresuid(ids.user, ids.user, ids.user)?;
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let kept: CapsHashSet = permitted.into_iter().filter(|one| !OF_FILES.contains(one)).collect();
    caps::set(None, CapSet::Effective, &kept).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_or_numbered() {
        let (root, numbered) = (ids("root").expect("every system has it"), ids("0"));
        assert_eq!((root.user, root.group, Some(&root)), (Uid::from_raw(0), Gid::from_raw(0), numbered.as_ref()));
        assert!(root.groups.contains(&root.group));
        assert_eq!(ids("4000000"), Some(Ids::unlisted(4_000_000)), "a number needs no list of users");
        assert_eq!(ids("no such user"), None);
        assert!(ids("nobody").is_some());
    }
}
