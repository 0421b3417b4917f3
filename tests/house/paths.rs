//! The paths in a file of Rust: those of `use` items, and those in its code.

/// A name that a `use` item brings.
pub(crate) struct Use {
    pub(crate) path: Vec<String>,
    /// What the name is here.
    pub(crate) name: String,
    /// Whether it is exported again.
    pub(crate) public: bool,
}

/// The text without comments of lines.
pub(crate) fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let end = if line.trim_start().starts_with("//") {
            0
        } else {
            line.find(" // ").unwrap_or(line.len())
        };
        line[..end].to_owned() + "\n"
    };
    text.lines().map(code).collect()
}

/// The names of modules that are built for tests alone.
pub(crate) fn test_modules(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let item = after.trim_start();
        let item = item.strip_prefix("pub(crate) ").unwrap_or(item);
        let item = item.strip_prefix("pub(super) ").unwrap_or(item);
        let (name, _) = item.strip_prefix("mod ")?.split_once([';', '{'])?;
        Some(name.trim())
    })
}

/// The text without the module of tests at its end, and without items that are for tests alone.
pub(crate) fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept += before;
        let body = after.find('{').unwrap_or(after.len());
        let semicolon = after.find(';').unwrap_or(after.len());
        rest = if semicolon < body {
            &after[semicolon + 1..]
        } else {
            // The formatter closes an item in the column in which it begins.
            let begun = before.rsplit('\n').next().unwrap_or_default();
            let close = format!("\n{begun}}}");
            after.split_once(&close).map_or("", |(_, rest)| rest)
        };
    }
    kept + rest
}

/// The names that all `use` items of a file bring, those of globs left out.
pub(crate) fn uses(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for (public, tree) in use_trees(text) {
        flatten(&[], tree.trim(), public, &mut found);
    }
    found
}

fn use_trees(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let begins = |at: &usize| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default().trim();
        line.is_empty() || line.starts_with("pub") || line.ends_with([';', '{'])
    };
    text.match_indices("use ")
        .map(|(at, _)| at)
        .filter(begins)
        .map(move |at| {
            let line = text[..at].rsplit('\n').next().unwrap_or_default().trim();
            let tree = text[at + 4..].split(';').next().unwrap_or_default();
            (line.starts_with("pub"), tree)
        })
}

fn flatten(prefix: &[String], tree: &str, public: bool, found: &mut Vec<Use>) {
    if let Some((head, inner)) = tree.split_once('{') {
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        let mut prefix = prefix.to_vec();
        prefix.extend(names(head));
        for part in split_at_commas(inner) {
            flatten(&prefix, part.trim(), public, found);
        }
        return;
    }
    let (path, renamed) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let mut path: Vec<String> = prefix.iter().cloned().chain(names(path)).collect();
    if path.last().is_some_and(|it| it == "*") {
        path.pop();
    }
    if path.len() > 1 && path.last().is_some_and(|it| it == "self") {
        path.pop();
    }
    if let Some(name) = renamed.or_else(|| path.last().cloned()) {
        found.push(Use { path, name, public });
    }
}

fn names(path: &str) -> impl Iterator<Item = String> {
    let names = path.split("::").map(str::trim).filter(|it| !it.is_empty());
    names.map(str::to_owned)
}

/// Parts between commas that are in no braces.
fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begun) = (Vec::new(), 0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begun..at]);
                begun = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begun..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The paths of at least two names that stand in the code, outside `use` items.
pub(crate) fn inline(text: &str) -> Vec<Vec<String>> {
    let mut rest = text.to_owned();
    let trees: Vec<String> = use_trees(text).map(|(_, tree)| tree.to_owned()).collect();
    for tree in trees {
        rest = rest.replacen(&tree, "", 1);
    }
    let is_path = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    rest.split(|letter| !is_path(letter))
        .map(|path| path.trim_matches(':'))
        .filter(|path| path.contains("::"))
        .map(|path| names(path).collect())
        .collect()
}
