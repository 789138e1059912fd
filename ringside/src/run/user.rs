//! Started as root, the program becomes another user: before it opens anything and while it has one thread, so that whatever it
//! makes belongs to that user. Capabilities stay until it captures, but for those that override the permissions of files.
//!
//! Who is not root has chosen a user already, as the unit does, and stays who they are.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::unistd::{AccessFlags, Gid, Uid, User, geteuid, getgroups, setegid, seteuid, setgroups, setresgid, setresuid};

use super::paths::Paths;
use crate::failure::Failure;

/// The user it becomes where none is configured, if that one can do what the configuration asks for.
const USUAL: &str = "nobody";

/// Whoever is meant by `USUAL` where there is no list of users, as in an image without one: the kernel's own number for it.
const OVERFLOW: u32 = 65_534;

/// A user, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    user: Uid,
    group: Gid,
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
        return Ok("user root, as service.user says".to_owned());
    }
    if let Err(obstacle) = make_folders(paths, ids).and_then(|()| look(paths, ids)) {
        let cure = "let that user have it, or set another `service.user`";
        if wanted.is_some() {
            return Err(Failure::Failed(format!("service.user: {obstacle} as {user:?}; {cure}")));
        }
        // Root it was until now, and a configuration that worked goes on to.
        tracing::warn!("it stays root, without capabilities: {obstacle} as {user:?}; {cure}");
        return Ok(format!("user root: {obstacle} as {user:?}"));
    }
    let refused = |error| Failure::Failed(format!("service.user: this process cannot become {user:?}: {error}"));
    switch(ids).map_err(refused)?;
    Ok(format!("user {}", name(ids.user)))
}

/// The numbers of a user, by name or number.
fn ids(user: &str) -> Option<Ids> {
    let found = match user.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number))
            .ok()
            .flatten()
            .map(|user| (user.uid, user.gid))
            .or_else(|| Some((Uid::from_raw(number), Gid::from_raw(number)))),
        Err(_) => User::from_name(user).ok().flatten().map(|user| (user.uid, user.gid)),
    };
    let overflow = || (user == USUAL).then(|| (Uid::from_raw(OVERFLOW), Gid::from_raw(OVERFLOW)));
    found.or_else(overflow).map(|(user, group)| Ids { user, group })
}

fn name(user: Uid) -> String {
    User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name)
}

/// Makes folders that are missing, for the user: only root may where they go.
fn make_folders(paths: &Paths, ids: Ids) -> Result<(), String> {
    for folder in paths.written.iter().filter(|folder| !folder.exists()) {
        let made =
            fs::create_dir(folder).and_then(|()| chown(folder, Some(ids.user.as_raw()), Some(ids.group.as_raw())));
        made.map_err(|error| format!("{} cannot be made ({error})", folder.display()))?;
    }
    Ok(())
}

/// Looks as the user whether everything is open to them; becomes root again. `Err` says what is not.
fn look(paths: &Paths, ids: Ids) -> Result<(), String> {
    let groups = getgroups().unwrap_or_default();
    let own = nix::unistd::getegid();
    let no = |error: nix::Error| format!("rights cannot be looked at ({error})");
    setgroups(&[ids.group]).and_then(|()| setegid(ids.group)).and_then(|()| seteuid(ids.user)).map_err(no)?;
    let found = obstacle(paths);
    seteuid(Uid::from_raw(0)).and_then(|()| setegid(own)).and_then(|()| setgroups(&groups)).map_err(no)?;
    found.map_or(Ok(()), Err)
}

/// What the effective user cannot do.
fn obstacle(paths: &Paths) -> Option<String> {
    let is_read = |path: &Path| File::open(path);
    let unread = paths.read.iter().find_map(|path| {
        // One that is missing is another mistake, told where it is opened.
        let error = is_read(path).err().filter(|error| error.kind() != io::ErrorKind::NotFound)?;
        Some(format!("{} cannot be read ({error})", path.display()))
    });
    let all = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    let unwritten = || {
        paths.written.iter().find_map(|folder| {
            let error =
                nix::unistd::faccessat(nix::fcntl::AT_FDCWD, folder, all, nix::fcntl::AtFlags::AT_EACCESS).err()?;
            Some(format!("{} cannot be written to ({})", folder.display(), io::Error::from(error)))
        })
    };
    unread.or_else(unwritten)
}

/// For good.
fn switch(ids: Ids) -> io::Result<()> {
    prctl::set_keepcaps(true)?;
    setgroups(&[ids.group])?;
    setresgid(ids.group, ids.group, ids.group)?;
    setresuid(ids.user, ids.user, ids.user)?;
    let files = [Capability::CAP_DAC_OVERRIDE, Capability::CAP_DAC_READ_SEARCH, Capability::CAP_FOWNER];
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let kept: CapsHashSet = permitted.into_iter().filter(|one| !files.contains(one)).collect();
    caps::set(None, CapSet::Effective, &kept).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_or_numbered() {
        let root = Ids { user: Uid::from_raw(0), group: Gid::from_raw(0) };
        assert_eq!((ids("root"), ids("0")), (Some(root), Some(root)));
        let nobody = Ids { user: Uid::from_raw(4_000_000), group: Gid::from_raw(4_000_000) };
        assert_eq!(ids("4000000"), Some(nobody), "a number needs no list of users");
        assert_eq!(ids("no such user"), None);
        assert!(ids("nobody").is_some());
    }
}
