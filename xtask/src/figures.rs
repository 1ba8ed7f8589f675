//! Replaces the figures in the documents, section by section, with what a program printed.

use crate::root;
use anyhow::{Context, Result, ensure};

/// The documents that show figures.
const DOCUMENTS: [&str; 3] = ["README.md", "docs/benchmarks.md", "models/failure/README.md"];

/// Replaces the section called `name` with `text`, in each document that has it.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let mut written = false;
    for document in DOCUMENTS {
        let path = root().join(document);
        let shown = std::fs::read_to_string(&path).with_context(|| format!("reading {document}"))?;
        if let Some(changed) = replaced(&shown, name, text) {
            std::fs::write(&path, changed).with_context(|| format!("writing {document}"))?;
            written = true;
        }
    }
    ensure!(written, "no document has a section for {name}");
    Ok(())
}

fn replaced(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- figures: {name} -->"), format!("<!-- end of {name} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}{end}{after}"))
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
        assert!(replaced(readme, "z", "").is_none());
    }
}
