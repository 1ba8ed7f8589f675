//! The commands that people write in a pull request's conversation: `/sentinel review`, `ignore` or `explain`.

/// A command in a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Review the current head again.
    Review,
    /// Do not review this pull request any more.
    Ignore,
    /// Explain how the last review came about.
    Explain,
}

impl Command {
    /// Finds the command in a comment: the first line that begins with `/sentinel`. Quotes and code begin with other
    /// characters, so citing a command does not give it.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let mut words = body.lines().find_map(|line| line.strip_prefix("/sentinel "))?.split_whitespace();
        let command = match words.next()? {
            "review" => Self::Review,
            "ignore" => Self::Ignore,
            "explain" => Self::Explain,
            _ => return None,
        };
        words.next().is_none().then_some(command)
    }

    /// The name that people write and that is stored.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Ignore => "ignore",
            Self::Explain => "explain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_line_of_its_own() {
        assert_eq!(Command::parse("Thanks!\n/sentinel review\r\n"), Some(Command::Review));
        assert_eq!(Command::parse("/sentinel explain"), Some(Command::Explain));
        for other in [
            "> /sentinel review",
            "`/sentinel review`",
            "/sentinel review please",
            "/sentinel",
            "hi /sentinel review",
        ] {
            assert_eq!(Command::parse(other), None, "{other}");
        }
    }
}
