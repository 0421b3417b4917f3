//! Commands that a reader can paste into a shell.

use super::escape::acts_on_terminal;

/// A file's name as a POSIX shell and the command line take it; `None` of standard input, and of
/// a name that cannot be shown as it is.
pub fn word(file: &str) -> Option<String> {
    let file = match file {
        "" | "-" | "<stdin>" => return None,
        _ if file.starts_with('-') => format!("./{file}"),
        _ => file.to_owned(),
    };
    quoted(&file)
}

/// A text as a POSIX shell takes it for one word; `None` of one that cannot be shown as it is.
pub(super) fn quoted(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-,".contains(c);
    if text.chars().any(acts_on_terminal) {
        return None;
    }
    // A tilde within a word stands for itself.
    let inner = |c: char| plain(c) || c == '~';
    if text.starts_with(plain) && text.chars().all(inner) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

/// The command that generates the trace of a seed of a scenario, or its recorded trace; `None` if
/// the scenario came from standard input.
pub fn generate(scenario: &str, seed: Option<u64>) -> Option<String> {
    let file = word(scenario)?;
    let seed = seed.map_or(String::new(), |seed| format!(" --seed {seed}"));
    Some(format!("iovasim generate {file}{seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word() {
        let cases = [
            ("scenarios/a.json", Some("scenarios/a.json")),
            ("a b.json", Some("'a b.json'")),
            ("it's", Some(r"'it'\''s'")),
            ("~a", Some("'~a'")),
            ("-a", Some("./-a")),
            ("<stdin>", None),
            ("a\nb", None),
            ("a;rm -r b", Some("'a;rm -r b'")),
            ("$(b)", Some("'$(b)'")),
        ];
        for (file, expected) in cases {
            assert_eq!(word(file).as_deref(), expected, "{file}");
        }
        let generate = |seed| generate("a.json", seed);
        assert_eq!(
            generate(Some(0)).as_deref(),
            Some("iovasim generate a.json --seed 0")
        );
        assert_eq!(generate(None).as_deref(), Some("iovasim generate a.json"));
    }
}
