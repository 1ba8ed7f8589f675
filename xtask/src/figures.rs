//! The README's figures: each section is replaced by what a program printed, never typed.

use crate::root;
use anyhow::{Context, Result};

/// Replaces the section called `name` by `text`.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).context("reading README.md")?;
    std::fs::write(&path, replaced(&readme, name, text)?).context("writing README.md")
}

fn replaced(readme: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- figures: {name} -->"), format!("<!-- end of {name} -->"));
    let (before, rest) = readme.split_once(&begin).with_context(|| format!("README.md has no {begin}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("README.md has no {end}"))?;
    Ok(format!("{before}{begin}\n{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_section_changes() {
        let readme = "a <!-- figures: x -->old<!-- end of x --> b <!-- figures: y -->keep<!-- end of y -->";
        let changed = replaced(readme, "x", "new\n").unwrap();
        assert_eq!(
            changed,
            "a <!-- figures: x -->\nnew\n<!-- end of x --> b <!-- figures: y -->keep<!-- end of y -->"
        );
        assert!(replaced(readme, "z", "").is_err());
    }
}
