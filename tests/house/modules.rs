//! The modules of the workspace, and what each imports from which other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::paths;

/// A name that one module takes from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// The module that declares the name, behind any re-exports.
    pub(crate) module: String,
    /// The name, empty for the module itself.
    pub(crate) name: String,
}

/// The source of all modules, without comments and tests, by their paths.
pub(crate) struct Source {
    modules: BTreeMap<String, String>,
}

impl Source {
    /// Reads `src` and `crates/*/src`.
    pub(crate) fn read(root: &Path) -> Source {
        let mut modules = BTreeMap::new();
        let mut crates = vec![("iovasim".to_owned(), root.join("src"))];
        for folder in fs::read_dir(root.join("crates")).expect("crates") {
            let folder = folder.expect("a crate");
            let name = folder.file_name().to_string_lossy().replace('-', "_");
            crates.push((name, folder.path().join("src")));
        }
        for (name, folder) in crates {
            for path in rust_files(&folder) {
                let inside = path
                    .strip_prefix(&folder)
                    .expect("inside")
                    .with_extension("");
                let mut module = name.clone();
                for part in &inside {
                    let part = part.to_str().expect("a name");
                    if !["mod", "lib", "main"].contains(&part) {
                        module = format!("{module}::{part}");
                    }
                }
                let text = fs::read_to_string(&path).expect("a source file");
                // `lib.rs` and `main.rs` are one here.
                *modules.entry(module).or_default() += text.as_str();
            }
        }
        Source::of(modules)
    }

    /// Modules by path and text.
    pub(crate) fn of<T: Into<String>>(modules: impl IntoIterator<Item = (T, T)>) -> Source {
        let mut modules: BTreeMap<String, String> = (modules.into_iter())
            .map(|(path, text)| (path.into(), paths::without_comments(&text.into())))
            .collect();
        let tests: BTreeSet<String> = (modules.iter())
            .flat_map(|(path, text)| {
                paths::test_modules(text).map(move |name| format!("{path}::{name}"))
            })
            .collect();
        let is_test = |path: &str| {
            tests.iter().any(|test| {
                let rest = path.strip_prefix(test.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            })
        };
        modules.retain(|path, _| !is_test(path));
        for text in modules.values_mut() {
            *text = paths::without_tests(text);
        }
        Source { modules }
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// What a module takes from others. Re-exports do not count: what takes a name by way of
    /// them takes it from where it is declared.
    pub(crate) fn imports(&self, module: &str) -> Vec<Import> {
        let text = &self.modules[module];
        let used = paths::uses(text).into_iter().filter(|it| !it.public);
        let paths = used.map(|it| it.path).chain(paths::inline(text));
        let found: BTreeSet<Import> = paths
            .filter_map(|path| self.resolve(module, &path, 0))
            .filter(|import| import.module != module)
            .collect();
        found.into_iter().collect()
    }

    /// Where the name at the end of a path is declared; `None` if that is no module of ours.
    fn resolve(&self, module: &str, path: &[String], depth: usize) -> Option<Import> {
        const DEPTH_MAX: usize = 8;
        let (first, rest) = path.split_first()?;
        let root = module.split("::").next()?;
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (root.to_owned(), rest),
            "self" => (module.to_owned(), rest),
            "super" => (parent(module)?, rest),
            name if self.modules.contains_key(&format!("{module}::{name}")) => {
                (module.to_owned(), path)
            }
            name if !name.contains("::") && self.modules.contains_key(name) => {
                (name.to_owned(), rest)
            }
            _ => return None,
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at = parent(&at)?;
            } else if self.modules.contains_key(&format!("{at}::{name}")) {
                at = format!("{at}::{name}");
            } else {
                let exported = |it: &paths::Use| it.name == *name;
                let found = paths::uses(self.modules.get(&at)?)
                    .into_iter()
                    .find(exported);
                if let Some(found) = found.filter(|_| depth < DEPTH_MAX) {
                    let whole: Vec<String> =
                        found.path.into_iter().chain(after.to_vec()).collect();
                    return self.resolve(&at, &whole, depth + 1);
                }
                let name = name.clone();
                return Some(Import { module: at, name });
            }
            rest = after;
        }
        let name = String::new();
        Some(Import { module: at, name })
    }
}

fn parent(module: &str) -> Option<String> {
    Some(module.rsplit_once("::")?.0.to_owned())
}

/// All Rust files in a folder and its folders, in order.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
