//! Files without names, which Linux has (`O_TMPFILE`): they go when the program ends, unless they are
//! complete and get a name.

use std::fs::File;
use std::io;
use std::path::Path;

/// The names of files that stand beside others until they are complete.
pub(crate) fn beside() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".iovasim-");
    builder
}

/// A file without a name in a folder; `None` where its file system has no such files.
#[cfg(target_os = "linux")]
pub(crate) fn create(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};

    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = open(folder, flags, Mode::from_raw_mode(0o666));
    file.ok().map(File::from)
}

/// Gives the file a name in that folder; what had the name is replaced.
#[cfg(target_os = "linux")]
pub(crate) fn link(file: &File, folder: &Path, target: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;

    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| -> io::Result<()> {
        let linked = linkat(CWD, source.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW);
        Ok(linked?)
    };
    match link(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let linked = beside().make_in(folder, link)?;
            let persisted = linked.into_temp_path().persist(target);
            persisted.map_err(|error| error.error)
        }
        linked => linked,
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn create(_folder: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn link(_file: &File, _folder: &Path, _target: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
