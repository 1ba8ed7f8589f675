//! Cuts English word endings, so that `test`, `tests`, `tested` and `testing` are one term of a small vocabulary.
//!
//! This is a weak stemmer in the manner of Harman's "How effective is suffixing?" (1991): it cuts one ending, and only
//! if enough of the word is left. The stem need not be an English word.

/// Endings, tried in this order.
const ENDINGS: [&str; 11] = ["ations", "ation", "ings", "ing", "edly", "ed", "ies", "es", "s", "e", "ly"];
/// Shorter words are left alone.
const WORD_MIN: usize = 5;
/// The number of letters that must be left.
const STEM_MIN: usize = 4;

/// `word` without its ending. `word` is lower-case ASCII.
#[must_use]
pub fn stem(word: &str) -> &str {
    if word.len() < WORD_MIN || word.ends_with("ss") {
        return word;
    }
    let stems = ENDINGS.iter().filter_map(|ending| word.strip_suffix(ending));
    stems.into_iter().find(|stem| stem.len() >= STEM_MIN).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn forms_of_a_word_meet() {
        for word in ["failed", "failing", "fails"] {
            assert_eq!(stem(word), "fail");
        }
        for word in ["resolve", "resolved", "resolving", "resolves"] {
            assert_eq!(stem(word), "resolv");
        }
        assert_eq!(stem("dependencies"), "dependenc");
    }

    #[test]
    fn short_words_and_short_stems_stay() {
        for word in ["test", "does", "string", "process", "access", "apple".get(..4).unwrap()] {
            assert_eq!(stem(word), word);
        }
    }
}
