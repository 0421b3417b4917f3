//! Text of files and traces, made harmless for what it is printed in.

/// Text for a terminal, on one line. Characters that a terminal acts on, or that change the direction
/// of what follows, are shown as escapes such as `\u{1b}`.
pub fn terminal(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\r' | '\t' => plain.push(' '),
            char if acts_on_terminal(char) => plain.extend(char.escape_unicode()),
            char => plain.push(char),
        }
    }
    plain
}

/// Lines for a terminal, each as [`terminal`] has it.
pub fn terminal_lines(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    let lines = lines.map(|line| match line.strip_suffix('\n') {
        Some(line) => terminal(line) + "\n",
        None => terminal(line),
    });
    lines.collect()
}

/// Whether a character is a control, or sets the direction of text.
pub(super) fn acts_on_terminal(char: char) -> bool {
    let sets_direction = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}');
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}') || sets_direction
}

/// Text in which nothing is markup: names may hold what Markdown takes for it. `~` would be
/// struck out.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' | '`' | '*' | '_' | '~' | '|' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(char);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            char if acts_on_terminal(char) => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let hostile = "a\u{1b}[2Jb\nc\u{202e}d\u{7}\u{9b}1m";
        assert_eq!(terminal(hostile), r"a\u{1b}[2Jb c\u{202e}d\u{7}\u{9b}1m");
        assert_eq!(terminal_lines("a\u{1b}\nb\n"), "a\\u{1b}\nb\n");
        let markdown = markdown(hostile);
        assert!(!markdown.chars().any(acts_on_terminal), "{markdown:?}");
    }
}
